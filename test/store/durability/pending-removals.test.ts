// What must still be struck off while the disk stays full: counted exactly, bounded, and written when there is room again.
import { afterEach, describe, expect, test } from "vitest";
import { Changes } from "../../../src/store/contract/changes.ts";
import { type DurableStore, openStore } from "../../../src/store/open-store.ts";
import { BOTH, eventually, keptSession, TestServer } from "../../support/server.ts";
import { temporaryDirectory } from "../directories.ts";
import { keptState, message, StoredSession, segment } from "../kept-state.ts";

/** A number and what surrounds it. */
const COST = 64;

describe("Changes.removalBytes", () => {
  test("counts each session that has ended and each cleared topic once, also over batches", () => {
    const changes = new Changes();
    changes.sessionEnded(new StoredSession(1));
    changes.sessionEnded(new StoredSession(1));
    changes.retained("cleared", undefined);
    changes.retained("cleared", undefined);
    changes.retained("set", message("set", "x"));
    expect(changes.removalBytes).toBe(2 * COST + 7);
    const later = new Changes();
    later.sessionEnded(new StoredSession(1));
    later.sessionEnded(new StoredSession(2));
    later.retained("cleared", message("cleared", "again"));
    later.retained("set", undefined);
    changes.merge(later);
    expect(changes.removalBytes).toBe(3 * COST + 3);
    expect(changes.carriedOver().removalBytes).toBe(3 * COST + 3);
  });
});

test("what replaces something is not added to it: the room asked for after long traffic is what is written", () => {
  const session = new StoredSession(1);
  const all = new Changes();
  for (let i = 0; i < 50_000; i++) {
    const turn = new Changes();
    turn.queueLater(session);
    turn.retained("r", message("r", `${i}`));
    all.merge(turn.seal());
  }
  expect(all.bytes).toBeLessThan(1_100_000);
  const kept = new Changes();
  for (let i = 1; i <= 40; i++) kept.segment(segment(i, "x".repeat(60_000), [session]));
  all.merge(kept);
  // Counted anew, and nothing forgotten.
  expect(all.bytes).toBeGreaterThan(40 * 60_000);
  expect(all.bytes).toBeLessThan(40 * 60_200 + 1_000);
});

describe.each(BOTH)("MQTT %s, the disk is full", (_name, version) => {
  const stores: DurableStore[] = [];
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
  });

  test("clients with ever new ids are refused at once beyond the limit; with room again all is as it was", async () => {
    let free = Number.POSITIVE_INFINITY;
    const directory = temporaryDirectory();
    const store = await openStore({ directory, level: "power", retryMs: 20, freeBytes: () => free });
    const server = new TestServer({ sysInterval: 0, store, limits: { pendingRemovalBytes: 5 * COST } });
    await server.start();
    const known = keptSession();
    await (await server.connect(version, known)).disconnect();
    free = 0;
    const refused = version === 5 ? [0x80, 0x97] : [3, 3];
    const attempt = async (): Promise<number> => {
      const client = await server.open(version);
      client.send(client.wire.connect(keptSession()));
      return (await client.next("connack")).reason;
    };
    for (let i = 0; i < 5; i++) expect(await attempt()).toBe(refused[0]);
    await eventually(() => (store.pendingRemovalBytes ?? 0) >= 5 * COST, "five ends wait");
    const failed = server.broker.metrics()["errors.commit"];
    for (let i = 0; i < 20; i++) expect(await attempt()).toBe(refused[1]);
    expect(store.pendingRemovalBytes).toBe(5 * COST);
    // Nothing was tried for them.
    expect(server.broker.metrics()["errors.commit"]).toBe(failed);
    expect(server.broker.metrics()["refused.pending_removals"]).toBe(20);
    expect((await server.connect(version)).connack.reason).toBe(0);
    free = Number.POSITIVE_INFINITY;
    await eventually(() => store.failure === undefined, "there is room again");
    expect(store.pendingRemovalBytes).toBe(0);
    const fresh = keptSession();
    await (await server.connect(version, fresh)).disconnect();
    await server.stop();
    const again = await openStore({ directory, level: "power" });
    stores.push(again);
    const { sessions } = await keptState(again);
    expect(Object.values(sessions).map(({ clientId }) => clientId)).toEqual([known.clientId, fresh.clientId]);
  });

  test("topics set and cleared at QoS 0: beyond the limit none is kept any more", async () => {
    let free = Number.POSITIVE_INFINITY;
    const directory = temporaryDirectory();
    const store = await openStore({ directory, level: "power", retryMs: 20, freeBytes: () => free });
    const server = new TestServer({ sysInterval: 0, store, limits: { pendingRemovalBytes: 5 * (COST + 3) } });
    await server.start();
    const client = await server.connect(version);
    free = 0;
    await server.broker.publish({ topic: "x", payload: "x", qos: 1, retain: true }).catch(() => undefined);
    expect(store.failure).toBeDefined();
    const refusals = (): number => server.broker.metrics()["refused.pending_removals"] ?? 0;
    for (let i = 10; i < 40; i++) {
      const [pending, refused] = [store.pendingRemovalBytes, refusals()];
      for (const payload of ["x", ""])
        client.send(client.wire.publish(`t${i}`, payload, { qos: 0, retain: true }));
      await eventually(
        () => store.pendingRemovalBytes !== pending || refusals() > refused,
        "the store has it, or it was refused",
      );
    }
    // The refused one is cleared too; the fifth of these reaches the limit.
    expect(store.pendingRemovalBytes).toBe(COST + 1 + 5 * (COST + 3));
    expect(refusals()).toBe(25);
    free = Number.POSITIVE_INFINITY;
    await eventually(() => store.failure === undefined, "there is room again");
    await client.publish("kept", "x", { qos: 1, retain: true });
    await server.stop();
    const again = await openStore({ directory, level: "power" });
    stores.push(again);
    expect((await keptState(again)).retained).toEqual({ kept: "x" });
  });
});
