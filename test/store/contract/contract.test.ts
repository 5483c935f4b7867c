// The contract of store.ts, against every implementation. What must survive is asked of those that outlive their process.
import { afterEach, describe, expect, test } from "vitest";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import { type DurableLevel, type DurableStore, openStore } from "../../../src/store/open-store.ts";
import type { Store, StoreBatch } from "../../../src/store/contract/store.ts";
import { temporaryDirectory } from "../directories.ts";
import { keptState, message, StoredSession, segment } from "../kept-state.ts";

const stores: Store[] = [];
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
});

async function open(level: "memory" | DurableLevel, directory = temporaryDirectory()): Promise<Store> {
  const store = level === "memory" ? new MemoryStore() : await openStore({ directory, level });
  stores.push(store);
  return store;
}

describe.each(["memory", "process", "power"] as const)("%s", (level) => {
  test("names itself", async () => {
    expect((await open(level)).name).toBe(level);
  });

  test("a new store gives back nothing", async () => {
    const store = await open(level);
    expect((await keptState(store)).order).toEqual([]);
  });

  test("promises resolve in the order of commit(), whatever is in the batches", async () => {
    const store = await open(level);
    const session = new StoredSession(1);
    const fills: ((batch: StoreBatch) => void)[] = [
      (batch) => batch.session(session, session.record()),
      () => undefined,
      (batch) => batch.queueLater(session),
      (batch) => batch.segment(segment(1, "x".repeat(100_000), [session])),
      (batch) => batch.segmentGone(1),
      (batch) => batch.retained("t", message("t", "y")),
    ];
    const settled: number[] = [];
    const commits: Promise<unknown>[] = [];
    for (let i = 0; i < 60; i++) {
      const batch = store.begin();
      fills[i % fills.length](batch);
      commits.push(store.commit(batch).then(() => settled.push(i)));
      if (i % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(commits);
    expect(settled).toEqual([...settled].sort((a, b) => a - b));
    expect(settled).toHaveLength(60);
  });

  test("a batch knows whether somebody waits for it", async () => {
    const store = await open(level);
    const session = new StoredSession(1);
    expect(store.begin()).toMatchObject({ dirty: false, empty: true });
    const waited: ((batch: StoreBatch) => void)[] = [
      (batch) => batch.session(session, session.record()),
      (batch) => batch.sessionEnded(session),
      (batch) => batch.subscription(session, "a", 1),
      (batch) => batch.queue(session),
      (batch) => batch.inbound(session, 1, message("t", "")),
      (batch) => batch.released(session, 1),
      (batch) => batch.retained("t", undefined),
    ];
    for (const fill of waited) {
      const batch = store.begin();
      fill(batch);
      expect(batch).toMatchObject({ dirty: true, empty: false });
    }
    for (const fill of [
      (batch: StoreBatch) => batch.queueLater(session),
      (batch: StoreBatch) => batch.delivered(session, 1),
      (batch: StoreBatch) => batch.segmentGone(1),
    ]) {
      const batch = store.begin();
      fill(batch);
      expect(batch.dirty).toBe(false);
    }
  });

  test("close() commits what is under way", async () => {
    const store = await open(level);
    const session = new StoredSession(1);
    const batch = store.begin();
    batch.session(session, session.record());
    let done = false;
    const commit = store.commit(batch).then(() => {
      done = true;
    });
    stores.splice(stores.indexOf(store), 1);
    await store.close();
    await commit;
    expect(done).toBe(true);
  });
});

describe.each(["process", "power"] as const)("%s keeps", (level) => {
  /** Commits what each function fills in, in one run, and returns what the next run finds. */
  async function afterwards(...fills: ((batch: StoreBatch) => void)[]) {
    const directory = temporaryDirectory();
    await run(directory, fills);
    return keptState(await open(level, directory));
  }

  async function run(directory: string, fills: ((batch: StoreBatch) => void)[]): Promise<void> {
    const store = await openStore({ directory, level });
    const commits = fills.map((fill) => {
      const batch = store.begin();
      fill(batch);
      return store.commit(batch);
    });
    await Promise.all(commits);
    await store.close();
  }

  const one = new StoredSession(1);
  const two = new StoredSession(0xffff_fff0);

  test("sessions with every field, and none", async () => {
    const full = one.record({
      username: "Zoë",
      clientId: "",
      expiresAt: 1_800_000_000_123,
      expiryInterval: 0xffff_ffff,
      will: { due: 1_800_000_000_001, message: message("will/t", "bye") },
    });
    const { sessions } = await afterwards((batch) => {
      batch.session(one, full);
      batch.session(two, two.record());
    });
    expect(sessions).toEqual({ [one.key]: full, [two.key]: two.record() });
  });

  test("the newest word on everything, in the order of load()", async () => {
    const state = await afterwards(
      (batch) => {
        batch.session(one, one.record());
        batch.subscription(one, "a/#", 1);
        batch.subscription(one, "b", 2);
        one.state = "first";
        batch.queue(one);
        batch.inbound(one, 7, message("t", "seven"));
        batch.inbound(one, 8, message("t", "eight"));
        batch.inbound(one, 9, message("t", "nine"));
        batch.segment(segment(1, "m1", [one]));
        batch.retained("r", message("r", "old"));
        batch.retained("s", message("s", "gone"));
      },
      (batch) => {
        batch.subscription(one, "b", undefined);
        batch.subscription(one, "a/#", 0x12);
        one.state = "second";
        batch.queueLater(one);
        batch.delivered(one, 8);
        batch.released(one, 9);
        batch.segment(segment(2, "m2", [one, two]));
        batch.retained("r", message("r", "new"));
        batch.retained("s", undefined);
      },
    );
    expect(state.order).toEqual(["session", "subscription", "cursor", "inbound", "segment", "retained"]);
    expect(state.subscriptions).toEqual({ "1 a/#": 0x12 });
    expect(state.cursors).toEqual({ 1: "second" });
    expect(state.inbound).toEqual({ "1 7": "seven", "1 8": undefined });
    expect(Object.keys(state.inbound)).toEqual(["1 7", "1 8"]);
    expect(state.segments).toEqual([
      [1, "m1", [1]],
      [2, "m2", [1, 0xffff_fff0]],
    ]);
    expect(state.retained).toEqual({ r: "new" });
  });

  test("segments in the order they were committed, across the sizes of serials", async () => {
    const serials = [1, 255, 256, 65_536, 2 ** 31, 2 ** 32, 2 ** 40];
    const { segments } = await afterwards(
      ...serials.map(
        (serial) => (batch: StoreBatch) => batch.segment(segment(serial, `m${serial}`, [one], 1)),
      ),
    );
    expect(segments.map(([serial]) => serial)).toEqual(serials);
  });

  test("nothing of a segment that is gone, in the same batch, a later one, or a later run", async () => {
    const directory = temporaryDirectory();
    await run(directory, [
      (batch) => {
        batch.segment(segment(1, "same", [one]));
        batch.segmentGone(1);
        batch.segment(segment(2, "later", [one]));
        batch.segment(segment(3, "next run", [one]));
        batch.segment(segment(4, "stays", [one]));
      },
      (batch) => {
        batch.segmentGone(2);
        batch.queue(one);
      },
    ]);
    await run(directory, [
      (batch) => {
        batch.segmentGone(3);
        batch.queue(one);
      },
    ]);
    const { segments } = await keptState(await open(level, directory));
    expect(segments.map(([serial]) => serial)).toEqual([4]);
  });

  test("the cursor of the moment of the commit, not of later", async () => {
    const directory = temporaryDirectory();
    const store = await openStore({ directory, level });
    const batch = store.begin();
    one.state = "at the commit";
    batch.queue(one);
    const commit = store.commit(batch);
    one.state = "of the next turn";
    await commit;
    await store.close();
    expect((await keptState(await open(level, directory))).cursors).toEqual({ 1: "at the commit" });
  });

  test.each(["one run", "two runs"])(
    "nothing of a session that ended; its number may be used again (%s)",
    async (runs) => {
      const directory = temporaryDirectory();
      const again = new StoredSession(1, "standard/again");
      const neighbour = new StoredSession(2);
      const begin = [
        (batch: StoreBatch) => {
          for (const session of [one, neighbour]) {
            batch.session(session, session.record());
            batch.subscription(session, "a", 1);
            batch.subscription(session, "long/".repeat(400), 1);
            batch.inbound(session, 1, message("t", "x"));
            session.state = "c";
            batch.queue(session);
          }
        },
        (batch: StoreBatch) => {
          batch.subscription(one, "b", 1);
          batch.inbound(one, 2, message("t", "y"));
        },
      ];
      const end = (batch: StoreBatch): void => {
        batch.sessionEnded(one);
        batch.session(again, again.record());
        batch.subscription(again, "c", 2);
      };
      if (runs === "one run") await run(directory, [...begin, end]);
      else {
        await run(directory, begin);
        await run(directory, [end]);
      }
      const state = await keptState(await open(level, directory));
      expect(Object.keys(state.sessions).sort()).toEqual(["standard/again", neighbour.key]);
      expect(state.subscriptions).toEqual({ "1 c": 2, "2 a": 1, [`2 ${"long/".repeat(400)}`]: 1 });
      expect(state.inbound).toEqual({ "2 1": "x" });
      expect(state.cursors).toEqual({ 2: "c" });
    },
  );

  test.each([1_022, 1_023, 1_024, 1_025, 1_026, 65_535])(
    "topic filters and topics of %i bytes",
    async (length) => {
      const names = ["a".repeat(length), `${"b".repeat(length - 2)}é`, `${"b".repeat(length - 2)}è`];
      const state = await afterwards((batch) => {
        for (const [i, name] of names.entries()) {
          batch.subscription(one, name, i + 1);
          batch.retained(name, message("t", `m${i}`));
        }
      });
      for (const [i, name] of names.entries()) {
        expect(state.subscriptions[`1 ${name}`]).toBe(i + 1);
        expect(state.retained[name]).toBe(`m${i}`);
      }
      const gone = await afterwards(
        (batch) => {
          batch.subscription(one, names[1], 1);
          batch.retained(names[1], message("t", "x"));
        },
        (batch) => {
          batch.subscription(one, names[1], undefined);
          batch.retained(names[1], undefined);
        },
      );
      expect(gone.subscriptions).toEqual({});
      expect(gone.retained).toEqual({});
    },
  );

  test("a value of 20 MiB, and more than one chunk of everything", async () => {
    const sessions = Array.from({ length: 2_500 }, (_, i) => new StoredSession(i + 1));
    const large = "L".repeat(20 << 20);
    const state = await afterwards((batch) => {
      for (const session of sessions) {
        batch.session(session, session.record());
        batch.subscription(session, "s", session.storeId);
        batch.retained(`r/${session.storeId}`, message("t", `${session.storeId}`));
      }
      batch.segment(segment(1, large, sessions));
    });
    expect(Object.keys(state.sessions)).toHaveLength(2_500);
    expect(Object.values(state.subscriptions)).toEqual(sessions.map((session) => session.storeId));
    for (const session of sessions) expect(state.retained[`r/${session.storeId}`]).toBe(`${session.storeId}`);
    expect(state.segments[0][1] === large).toBe(true);
    expect(state.segments[0][2]).toEqual(sessions.map((session) => session.storeId));
  });

  test("what nobody waits for, when the store is closed", async () => {
    const directory = temporaryDirectory();
    const store = await openStore({ directory, level });
    const batch = store.begin();
    one.state = "later";
    batch.queueLater(one);
    await store.commit(batch);
    await store.close();
    expect((await keptState(await open(level, directory))).cursors).toEqual({ 1: "later" });
  });

  test("load() waits where the visitor wants it to", async () => {
    const directory = temporaryDirectory();
    await run(directory, [
      (batch) => {
        for (let i = 1; i <= 5; i++) batch.retained(`r${i}`, message("t", `${i}`));
      },
    ]);
    const store = await open(level, directory);
    let inside = 0;
    let most = 0;
    let count = 0;
    const none = (): void => undefined;
    await store.load({
      session: none,
      subscription: none,
      cursor: none,
      inbound: none,
      segment: none,
      retained: async () => {
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside--;
        count++;
      },
    });
    expect([most, count]).toEqual([1, 5]);
  });

  test("the state when the other level opens it", async () => {
    const directory = temporaryDirectory();
    await run(directory, [(batch) => batch.retained("r", message("r", "x"))]);
    const other = await open(level === "process" ? "power" : "process", directory);
    expect((await keptState(other)).retained).toEqual({ r: "x" });
  });

  test("a commit after close() is refused", async () => {
    const store: DurableStore = await openStore({ directory: temporaryDirectory(), level });
    await store.close();
    const batch = store.begin();
    batch.queue(one);
    await expect(store.commit(batch)).rejects.toMatchObject({ code: "STORE_CLOSED" });
  });
});
