// A Will with more receivers than a slice has: the store knows of it until the last of them has it, so that a crash in between
// loses it for nobody.
import { afterEach, beforeEach, expect, test } from "vitest";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import type { SegmentRef, SessionRecord, SessionRef, StoreBatch } from "../../../src/store/contract/store.ts";
import { DELIVERY_WORDS } from "../../../src/store/contract/store.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { eventually, keptSession, TestServer, unique } from "../../support/server.ts";
import { secondsPass, useManualClock } from "../../support/time.ts";

/** What a batch says about the session of `clientId`, and how many deliveries it holds. */
interface Commit {
  will?: "waits" | "gone" | "ended";
  deliveries: number;
}

/** Notes every batch that is committed. */
class NotingStore extends MemoryStore {
  readonly commits: Commit[] = [];
  clientId = "";
  #storeId = 0;
  readonly #noted = new WeakMap<StoreBatch, Commit>();

  override begin(): StoreBatch {
    const batch = super.begin();
    const commit: Commit = { deliveries: 0 };
    const { session, sessionEnded, segment } = batch;
    batch.session = (ref: SessionRef, record: SessionRecord) => {
      if (record.clientId === this.clientId) {
        this.#storeId = record.storeId;
        commit.will = record.will === undefined ? "gone" : "waits";
      }
      session.call(batch, ref, record);
    };
    batch.sessionEnded = (ref: SessionRef) => {
      if (ref.storeId === this.#storeId) commit.will = "ended";
      sessionEnded.call(batch, ref);
    };
    batch.segment = (ref: SegmentRef) => {
      commit.deliveries += ref.deliveries.length / DELIVERY_WORDS;
      segment.call(batch, ref);
      Object.assign(batch, { dirty: true, empty: false }); // as for every store that keeps it
    };
    this.#noted.set(batch, commit);
    return batch;
  }

  override commit(batch: StoreBatch): Promise<void> {
    this.commits.push(this.#noted.get(batch) as Commit);
    return super.commit(batch);
  }
}

useManualClock();
let store: NotingStore;
let server: TestServer;
beforeEach(async () => {
  store = new NotingStore();
  server = new TestServer(() => ({ sysInterval: 0, store }));
  await server.start();
});
afterEach(() => server.stop());

/** A slice has 139 receivers of a message of this size. */
const PAYLOAD = "x".repeat(60_000);
const RECEIVERS = 300;

async function receivers(topic: string): Promise<void> {
  const all: RawClient[] = [];
  for (let i = 0; i < RECEIVERS; i++) {
    const client = await server.connect(5, keptSession());
    await client.subscribe([{ filter: topic, qos: 1 }]);
    all.push(client);
  }
  for (const client of all) client.destroy();
  await eventually(() => server.broker.metrics()["clients.connected"] === 0, "all are away");
}

/** Commits from the one on in which the Will's deliveries begin, until all are there. */
async function sliced(): Promise<Commit[]> {
  const held = (): number => store.commits.reduce((sum, { deliveries }) => sum + deliveries, 0);
  await eventually(async () => {
    await secondsPass();
    return held() === RECEIVERS;
  }, `${RECEIVERS} deliveries`);
  const first = store.commits.findIndex(({ deliveries }) => deliveries > 0);
  const last = store.commits.findLastIndex(({ deliveries }) => deliveries > 0);
  expect(last).toBeGreaterThan(first);
  return store.commits.slice(0, last + 1);
}

test.each([
  ["a Will with a delay", 1],
  ["a Will without", 0],
])("%s is struck off with its last slice", async (_what, willDelayInterval) => {
  const topic = unique("sliced");
  await receivers(topic);
  store.clientId = unique("mortal");
  const will = { topic, payload: PAYLOAD, qos: 1 as const, properties: { willDelayInterval } };
  const client = await server.connect(5, { ...keptSession(), clientId: store.clientId, will });
  store.commits.length = 0;
  client.destroy();
  const commits = await sliced();
  const told = commits.flatMap(({ will }, i) => (will === undefined ? [] : [[i, will] as const]));
  expect(told[0][1]).toBe("waits");
  expect(told.at(-1)).toEqual([commits.length - 1, "gone"]);
  expect(told.slice(0, -1).map(([, will]) => will)).not.toContain("gone");
});

test("a session that ends with its Will ends in the store when the last slice has gone", async () => {
  const topic = unique("sliced");
  await receivers(topic);
  store.clientId = unique("mortal");
  const client = await server.connect(5, {
    clientId: store.clientId,
    clean: false,
    properties: { sessionExpiryInterval: 1 },
    will: { topic, payload: PAYLOAD, qos: 1, properties: { willDelayInterval: 100 } },
  });
  store.commits.length = 0;
  client.destroy();
  const commits = await sliced();
  expect(commits.map(({ will }) => will)).not.toContain("ended");
  await eventually(async () => {
    await secondsPass();
    return store.commits.some(({ will }) => will === "ended");
  }, "its session ends");
});
