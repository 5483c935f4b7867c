// What its receivers acknowledge before it is written is not written, and its publisher need not wait for the disk; whatever
// somebody is still owed is written first. The writer is the test's own, then the broker's stores.
import { cpSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Changes } from "../../../src/store/contract/changes.ts";
import { GroupCommit } from "../../../src/store/durability/group-commit.ts";
import { type DurableStore, openStore } from "../../../src/store/open-store.ts";
import type { SegmentRef } from "../../../src/store/contract/store.ts";
import { BOTH, eventually, TestServer, keptSession } from "../../support/server.ts";
import { temporaryDirectory } from "../directories.ts";
import { keptState, StoredSession, segment } from "../kept-state.ts";

interface Write {
  readonly changes: Changes;
  succeed(): void;
  fail(): void;
}

const one = new StoredSession(1);
const PACKET_ID = 7 << 16;

/** A message as the broker gives it to the store: `options` say whether its receiver has been sent it. */
function delivered(serial: number, options: number): SegmentRef {
  const made = segment(serial, `m${serial}`, [one]);
  made.deliveries[3] = options;
  return made;
}
const sent = (serial: number): SegmentRef => delivered(serial, 1 | PACKET_ID);

describe("groups", () => {
  let writes: Write[];
  let settled: string[];
  let commits: GroupCommit;

  beforeEach(() => {
    writes = [];
    settled = [];
    commits = new GroupCommit({
      writer: {
        busy: false,
        write: (changes) =>
          new Promise((resolve, reject) =>
            writes.push({ changes, succeed: resolve, fail: () => reject(new Error("no space")) }),
          ),
        recover: () => Promise.resolve(),
      },
      outstanding: 1,
      logger: undefined,
      path: "/data/store/data.mdb",
      retryMs: 10,
    });
  });
  afterEach(async () => {
    let closed = false;
    const closing = commits.close().then(() => {
      closed = true;
    });
    while (!closed) {
      for (const write of writes.splice(0)) write.succeed();
      await turn();
    }
    await closing;
  });

  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  function commit(name: string, fill: (batch: Changes) => void): void {
    const batch = new Changes();
    fill(batch);
    commits.commit(batch).then(
      () => settled.push(name),
      () => settled.push(`${name} refused`),
    );
  }

  const acknowledged = (serial: number) => (batch: Changes) => {
    one.state = `behind ${serial}`;
    batch.queueLater(one);
    batch.segmentGone(serial);
  };

  test("acknowledged before it was written: it resolves, and only the cursor is ever written", async () => {
    commit("message", (batch) => batch.segment(sent(1)));
    commit("acknowledged", acknowledged(1));
    await turn();
    expect(settled).toEqual(["message", "acknowledged"]);
    expect(writes).toHaveLength(0);
    expect(commits.spared).toBe(1);
    await eventually(() => writes.length === 1, "the cursor is written by itself");
    const { changes } = writes[0];
    expect([changes.segments.size, changes.gone.size]).toEqual([0, 0]);
    expect(Buffer.from(changes.cursors.get(1) as Uint8Array).toString()).toBe("behind 1");
  });

  test("never acknowledged: it is written after a moment, and resolves behind that", async () => {
    commit("message", (batch) => batch.segment(sent(1)));
    expect(writes).toHaveLength(0);
    await eventually(() => writes.length === 1, "it is written");
    expect([...writes[0].changes.segments.keys()]).toEqual([1]);
    await turn();
    expect(settled).toEqual([]);
    // The acknowledgement comes too late to spare the write: what was written is taken away again.
    commit("acknowledged", acknowledged(1));
    await turn();
    expect(settled).toEqual([]);
    writes[0].succeed();
    await eventually(() => settled.length === 2, "both resolve");
    await eventually(() => writes.length === 2, "it is removed");
    expect([...writes[1].changes.gone]).toEqual([1]);
  });

  test.each([
    ["has not left yet", 1],
    ["is of QoS 2", 2 | PACKET_ID],
  ])("a message that %s is written at once", (_name, options) => {
    commit("message", (batch) => batch.segment(delivered(1, options)));
    expect(writes).toHaveLength(1);
  });

  test("one receiver of several that is offline: it is written at once", () => {
    const made = segment(1, "x", [one, new StoredSession(2)]);
    made.deliveries[3] |= PACKET_ID;
    commit("message", (batch) => batch.segment(made));
    expect(writes).toHaveLength(1);
  });

  test("something else in its turn is awaited: it is written at once", () => {
    commit("message", (batch) => {
      batch.segment(sent(1));
      batch.subscription(one, "f", 1);
    });
    expect(writes).toHaveLength(1);
  });

  test("what is awaited behind it ends the waiting: one group, in order", async () => {
    commit("message", (batch) => batch.segment(sent(1)));
    commit("subscription", (batch) => batch.subscription(one, "f", 1));
    expect(writes).toHaveLength(1);
    expect([...writes[0].changes.segments.keys()]).toEqual([1]);
    await turn();
    expect(settled).toEqual([]);
    writes[0].succeed();
    await eventually(() => settled.length === 2, "both resolve");
    expect(settled).toEqual(["message", "subscription"]);
  });

  test("given up because it moved to another session: its publisher waits until it is safe there", async () => {
    commit("message", (batch) => batch.segment(sent(1)));
    commit("moved", (batch) => {
      batch.segmentGone(1);
      batch.session(one, one.record());
      batch.segment(sent(2));
    });
    await turn();
    expect(settled).toEqual([]);
    expect([...writes[0].changes.segments.keys()]).toEqual([2]);
    writes[0].succeed();
    await eventually(() => settled.length === 2, "both resolve");
  });

  test("acknowledged in another order: promises keep the order of commit()", async () => {
    commit("first", (batch) => batch.segment(sent(1)));
    commit("second", (batch) => batch.segment(sent(2)));
    commit("second acknowledged", acknowledged(2));
    await turn();
    expect(settled).toEqual([]);
    commit("first acknowledged", acknowledged(1));
    await turn();
    expect(settled).toEqual(["first", "second", "second acknowledged", "first acknowledged"]);
    expect(writes).toHaveLength(0);
  });

  test("while a write is under way it resolves behind that, and is not written itself", async () => {
    commit("subscription", (batch) => batch.subscription(one, "f", 1));
    commit("message", (batch) => batch.segment(sent(1)));
    await eventually(() => writes.length === 1, "the write begins");
    commit("acknowledged", acknowledged(1));
    await turn();
    expect(settled).toEqual([]);
    writes[0].succeed();
    await eventually(() => settled.length === 3, "all resolve");
    expect(settled).toEqual(["subscription", "message", "acknowledged"]);
    expect(commits.spared).toBe(1);
  });

  test("after waiting in vain it is not waited for, until it is worth while again", async () => {
    let serial = 0;
    const inVain = async (): Promise<boolean> => {
      const before = writes.length;
      commit("message", (batch) => batch.segment(sent(++serial)));
      const waited = writes.length === before;
      await eventually(() => writes.length > before, "it is written");
      writes[before].succeed();
      await eventually(() => settled.length === serial, "it resolves");
      return waited;
    };
    const waited: boolean[] = [];
    for (let n = 0; n < 12; n++) waited.push(await inVain());
    // Twice as many each time, and one: 1, 3, 7.
    expect(waited.flatMap((wait, n) => (wait ? [n] : []))).toEqual([0, 2, 6]);
  });

  test("a write that fails refuses what waits behind it; nothing of it is lost for its receiver", async () => {
    commit("subscription", (batch) => batch.subscription(one, "f", 1));
    commit("message", (batch) => batch.segment(sent(1)));
    writes[0].fail();
    await eventually(() => settled.length === 2, "both are refused");
    expect(settled).toEqual(["subscription refused", "message refused"]);
    await eventually(() => writes.length === 2, "what is carried over is written");
    expect([...writes[1].changes.segments.keys()]).toEqual([1]);
  });

  test("close() writes what waits", async () => {
    commit("message", (batch) => batch.segment(sent(1)));
    const closed = commits.close();
    await eventually(() => writes.length === 1, "it is written");
    writes[0].succeed();
    await closed;
    expect(settled).toEqual(["message"]);
  });
});

describe.each(["process", "power"] as const)("a broker at level %s", (level) => {
  let store: DurableStore;
  let server: TestServer;
  let directory: string;
  beforeEach(async () => {
    directory = temporaryDirectory();
    store = await openStore({ directory, level });
    server = new TestServer({ sysInterval: 0, store });
    await server.start();
  });
  afterEach(() => server.stop());

  describe.each(BOTH)("MQTT %s", (_name, version) => {
    test("a receiver that acknowledges spares the write", async () => {
      const receiver = await server.connect(version, keptSession());
      await receiver.subscribe([{ filter: "t", qos: 1 }]);
      const publisher = await server.connect(version);
      // On a busy machine one may be too late to spare its write; hardly all.
      for (let n = 1; n <= 20; n++) {
        publisher.send(publisher.wire.publish("t", `${n}`, { qos: 1, id: n }));
        expect(await receiver.receive()).toMatchObject({ text: `${n}` });
        expect(await publisher.next("puback")).toMatchObject({ id: n, reason: 0 });
      }
      expect(store.spared).toBeGreaterThan(0);
    });

    test("a receiver that does not acknowledge: on the disk before PUBACK", async () => {
      const options = keptSession();
      const receiver = await server.connect(version, options);
      await receiver.subscribe([{ filter: "t", qos: 1 }]);
      const publisher = await server.connect(version);
      publisher.send(publisher.wire.publish("t", "owed", { qos: 1, id: 1 }));
      expect(await publisher.next("puback")).toMatchObject({ id: 1, reason: 0 });
      expect(store.spared).toBe(0);
      // As the disk is at this moment.
      const copy = temporaryDirectory();
      cpSync(join(directory, "store"), join(copy, "store"), { recursive: true });
      const after = await openStore({ directory: copy, level });
      const { segments } = await keptState(after);
      await after.close();
      expect(segments.map(([, text]) => text)).toEqual(["owed"]);
    });
  });
});
