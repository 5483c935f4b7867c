// Groups: order, merging, and what happens when a write fails and works again. The writer is the test's own.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Logger } from "../../../src/options.ts";
import { Changes } from "../../../src/store/contract/changes.ts";
import { GroupCommit } from "../../../src/store/durability/group-commit.ts";
import { eventually } from "../../support/server.ts";
import { timePasses } from "../../support/time.ts";
import { message, StoredSession, segment } from "../kept-state.ts";

interface Write {
  readonly changes: Changes;
  succeed(): void;
  fail(text?: string): void;
}

let writes: Write[];
let busy: boolean;
let recoverable: boolean;
let trials: number;
let room: number;
let logged: string[];
let commits: GroupCommit;

const note = (_fields: object, text: string): void => void logged.push(text);
const logger: Logger = { debug: note, info: note, warn: note, error: note };

function open(outstanding: number): void {
  commits = new GroupCommit({
    writer: {
      get busy() {
        return busy;
      },
      write: (changes) =>
        new Promise((resolve, reject) =>
          writes.push({ changes, succeed: resolve, fail: (text = "no space") => reject(new Error(text)) }),
        ),
      recover: (bytes) => {
        trials++;
        room = bytes;
        return recoverable ? Promise.resolve() : Promise.reject(new Error("still no space"));
      },
    },
    outstanding,
    logger,
    path: "/data/store/data.mdb",
    retryMs: 10,
  });
}

beforeEach(() => {
  writes = [];
  busy = false;
  recoverable = true;
  trials = 0;
  logged = [];
  open(1);
});
afterEach(async () => {
  recoverable = true;
  busy = false;
  for (let closed = false; !closed; ) {
    for (const write of writes.splice(0)) write.succeed();
    closed = await Promise.race([commits.close().then(() => true), turn().then(() => false)]);
  }
});

const one = new StoredSession(1);
const settled: string[] = [];
function commit(name: string, fill: (batch: Changes) => void): void {
  const batch = new Changes();
  fill(batch);
  commits.commit(batch).then(
    () => settled.push(name),
    () => settled.push(`${name} refused`),
  );
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
beforeEach(() => {
  settled.length = 0;
});

describe("groups", () => {
  test("what comes while as many as allowed are under way is one group, the newest word counts", async () => {
    commit("a", (batch) => batch.retained("r", message("r", "1")));
    for (const n of ["2", "3", "4"]) commit(n, (batch) => batch.retained("r", message("r", n)));
    expect(writes).toHaveLength(1);
    writes[0].succeed();
    await eventually(() => writes.length === 2, "the second group");
    expect([...writes[1].changes.retainedMessages.values()].map((bytes) => bytes?.at(-1))).toEqual([0x34]);
    expect(settled).toEqual(["a"]);
    writes[1].succeed();
    await eventually(() => settled.length === 4, "all resolve");
    expect(settled).toEqual(["a", "2", "3", "4"]);
    expect(commits.groups).toBe(2);
  });

  test("a group that is written before an earlier one resolves behind it", async () => {
    open(2);
    commit("a", (batch) => batch.queue(one));
    commit("b", (batch) => batch.queue(one));
    writes[1].succeed();
    await turn();
    expect(settled).toEqual([]);
    writes[0].succeed();
    await eventually(() => settled.length === 2, "both resolve");
    expect(settled).toEqual(["a", "b"]);
  });

  test("a segment that is given up while it waits is never written", async () => {
    commit("a", (batch) => batch.queue(one));
    commit("b", (batch) => batch.segment(segment(5, "x", [one])));
    commit("c", (batch) => {
      batch.queue(one);
      batch.segmentGone(5);
    });
    writes[0].succeed();
    await eventually(() => writes.length === 2, "the second group");
    expect([writes[1].changes.segments.size, writes[1].changes.gone.size]).toEqual([0, 0]);
  });

  test("what nobody waits for goes with the next group, or by itself after a while", async () => {
    commit("later", (batch) => batch.queueLater(one));
    expect(writes).toHaveLength(0);
    commit("now", (batch) => batch.retained("r", undefined));
    expect(writes[0].changes.cursors.size).toBe(1);
    writes[0].succeed();
    await eventually(() => settled.length === 2, "both resolve");
    commit("later", (batch) => batch.queueLater(one));
    await eventually(() => writes.length === 2, "it is written by itself");
  });

  test("a busy writer gets nothing until it says so", async () => {
    busy = true;
    commit("a", (batch) => batch.queue(one));
    expect(writes).toHaveLength(0);
    busy = false;
    commits.resume();
    expect(writes).toHaveLength(1);
  });
});

describe("a write fails", () => {
  test("whoever waited is refused, also in the group that waited behind it; it is said once", async () => {
    recoverable = false;
    commit("a", (batch) => batch.queue(one));
    commit("b", (batch) => batch.queue(one));
    writes[0].fail();
    await eventually(() => settled.length === 2, "both are refused");
    expect(settled).toEqual(["a refused", "b refused"]);
    const refusal = commits.commit(dirty());
    await expect(refusal).rejects.toMatchObject({
      code: "STORE_WRITE",
      message: "/data/store/data.mdb cannot be written: no space",
    });
    await eventually(() => trials > 3, "it is tried again");
    expect(writes).toHaveLength(1);
    expect(logged).toHaveLength(1);
  });

  function dirty(): Changes {
    const batch = new Changes();
    batch.queue(one);
    return batch;
  }

  test("it recovers by itself, and writes first what a refusal does not undo", async () => {
    const two = new StoredSession(2);
    commit("a", (batch) => {
      batch.session(one, one.record());
      batch.subscription(one, "refused", 1);
      batch.inbound(one, 4, message("t", "refused"));
      batch.delivered(one, 5);
      batch.released(one, 6);
      one.state = "1";
      batch.queue(one);
      batch.segment(segment(1, "kept", [one]));
      batch.segment(segment(2, "given up", [one]));
      batch.segmentGone(77);
      batch.sessionEnded(two);
      batch.retained("r", message("r", "x"));
    });
    writes[0].fail();
    await turn();
    // While it cannot write: facts go on.
    commit("b", (batch) => {
      one.state = "2";
      batch.queueLater(one);
      batch.segmentGone(2);
    });
    await eventually(() => writes.length === 2, "what is carried over is written");
    const { changes } = writes[1];
    expect([...changes.ended]).toEqual([2]);
    expect(changes.sessions.get(1)?.record?.key).toBe(one.key);
    expect([...(changes.sessions.get(1)?.subscriptions ?? [])]).toEqual([]);
    expect([...(changes.sessions.get(1)?.inbound ?? [])].map(([id, bytes]) => [id, bytes?.length])).toEqual([
      [5, 0],
    ]);
    expect(Buffer.from(changes.cursors.get(1) as Uint8Array).toString()).toBe("2");
    expect([...changes.segments.keys()]).toEqual([1]);
    expect([...changes.gone]).toEqual([77]);
    expect([...changes.retainedMessages.keys()]).toEqual(["r"]);
    commit("c", (batch) => batch.queue(one));
    await turn();
    expect(settled).toContain("c refused");
    writes[1].succeed();
    await eventually(() => commits.failure === undefined, "it recovers");
    commit("d", (batch) => batch.queue(one));
    await eventually(() => writes.length >= 3, "it writes again");
    writes[2].succeed();
    await eventually(() => settled.includes("d") || writes.length > 3, "d");
    writes[3]?.succeed();
    await eventually(() => settled.includes("d"), "d resolves");
    expect(logged).toEqual([
      "the store cannot write; clients are refused until it can again",
      "the store can write again",
    ]);
  });

  test("an earlier group that failed does not undo a later one that was written", async () => {
    open(2);
    recoverable = false;
    one.state = "old";
    commit("a", (batch) => batch.queue(one));
    one.state = "new";
    commit("b", (batch) => {
      batch.queue(one);
      batch.subscription(one, "granted", 1);
    });
    writes[0].fail();
    await turn();
    writes[1].succeed();
    await eventually(() => settled.length === 2, "both end");
    expect(settled).toEqual(["a refused", "b"]);
    recoverable = true;
    await eventually(() => writes.length === 3, "what is carried over is written");
    expect(Buffer.from(writes[2].changes.cursors.get(1) as Uint8Array).toString()).toBe("new");
    expect([...(writes[2].changes.sessions.get(1)?.subscriptions ?? [])]).toEqual([["granted", 1]]);
  });

  test("a trial that fails loses nothing", async () => {
    commit("a", (batch) => {
      one.state = "1";
      batch.queue(one);
      batch.segment(segment(1, "x", [one]));
    });
    writes[0].fail();
    await eventually(() => writes.length === 2, "a trial");
    commit("b", (batch) => {
      one.state = "2";
      batch.queueLater(one);
      batch.segmentGone(1);
    });
    writes[1].fail();
    await eventually(() => writes.length === 3, "another trial");
    expect(Buffer.from(writes[2].changes.cursors.get(1) as Uint8Array).toString()).toBe("2");
    expect(writes[2].changes.segments.size).toBe(0);
  });

  test("what fails during a trial begins no second one beside it, and the next one behind it", async () => {
    commit("a", (batch) => batch.queue(one));
    writes[0].fail();
    await eventually(() => writes.length === 2, "a trial");
    expect(trials).toBe(1);
    commits.fail(new Error("a flush failed"));
    await timePasses(50); // five times the pause between trials
    expect([trials, writes.length]).toEqual([1, 2]);
    writes[1].succeed();
    await eventually(() => commits.failure === undefined, "the next trial succeeds");
    expect(trials).toBe(2);
    // And one that fails right behind a trial is tried again, too.
    commit("b", (batch) => batch.queue(one));
    writes[2].fail();
    await eventually(() => trials === 3, "another trial");
  });

  test("a trial asks for room for what is left of the refused, not for each of them", async () => {
    recoverable = false;
    commit("a", (batch) => batch.retained("t", message("t", "x".repeat(10_000))));
    writes[0].fail();
    await eventually(() => commits.failure !== undefined, "it has failed");
    for (let i = 0; i < 50; i++) {
      commit(`${i}`, (batch) => {
        batch.retained("t", message("t", "x".repeat(10_000)));
        batch.inbound(one, i + 1, message("t", "y".repeat(10_000)));
      });
    }
    trials = 0;
    await eventually(() => trials > 0, "a trial");
    expect(room).toBeGreaterThan(10_000);
    expect(room).toBeLessThan(20_000);
  });
});
