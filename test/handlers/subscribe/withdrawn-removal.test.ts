// A subscription that a policy takes away is struck off the store until the store has it: a restart would give it back to
// somebody who may not have it.
import { beforeEach, describe, expect, test, vi } from "vitest";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import { useHeldServer } from "../../store/held-store.ts";
import { openPolicy } from "../../support/policy.ts";
import { BOTH, eventually, keptSession } from "../../support/server.ts";
import { secondsPass, useManualClock } from "../../support/time.ts";

useManualClock();

/** Changes of subscriptions as the store is told of them. */
let told: string[];
let withdrawn: boolean;
beforeEach(() => {
  told = [];
  withdrawn = false;
  const { begin } = MemoryStore.prototype;
  vi.spyOn(MemoryStore.prototype, "begin").mockImplementation(function (this: MemoryStore) {
    const batch = begin.call(this);
    const { subscription } = batch;
    batch.subscription = (session, filter, options) => {
      told.push(`${filter} ${options === undefined ? "removed" : "kept"}`);
      subscription.call(batch, session, filter, options);
    };
    return batch;
  });
  return () => vi.restoreAllMocks();
});

const policy = openPolicy({
  override: { authorizeSubscribe: (_identity, { qos }) => (withdrawn ? 0x87 : qos) },
});
Object.defineProperty(policy, "generation", { get: () => (withdrawn ? 2 : 1) });
const { held, server } = useHeldServer({ profile: policy });

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("removals that could not be stored are tried again, unless the filter was subscribed anew", async () => {
    const client = await server.connect(version, keptSession());
    await client.subscribe([
      { filter: "a", qos: 1 },
      { filter: "b", qos: 1 },
    ]);
    told = [];
    held.hold();
    withdrawn = true;
    await secondsPass();
    await eventually(() => told.length === 2, "the policy's no reaches the store");
    expect(told).toEqual(["a removed", "b removed"]);
    await eventually(() => held.waiting.length > 0, "its commits wait");
    while (held.waiting.length > 0) held.waiting[0].fail();
    held.release();
    withdrawn = false;
    await client.subscribe([{ filter: "a", qos: 1 }]);
    expect(told.slice(2)).toEqual(["a kept"]);
    // The store fails once more, and then no longer.
    held.hold();
    await secondsPass();
    await eventually(() => told.length === 4, "it is tried again");
    (await held.commits(1)).fail();
    await secondsPass();
    await eventually(() => told.length === 5, "and again");
    (await held.commits(1)).succeed();
    held.release();
    expect(told.slice(3)).toEqual(["b removed", "b removed"]);
    await server.broker.publish({ topic: "a", payload: "x", qos: 1 });
    expect(await client.receive()).toMatchObject({ topic: "a" });
  });

  test("a session that has ended meanwhile is not told of again", async () => {
    const [one, two] = [keptSession(), keptSession()];
    const clients = [await server.connect(version, one), await server.connect(version, two)];
    for (const [i, client] of clients.entries()) await client.subscribe([{ filter: `t${i}`, qos: 1 }]);
    told = [];
    held.hold();
    withdrawn = true;
    await secondsPass();
    await eventually(() => told.length === 2, "the policy's no reaches the store");
    await eventually(() => held.waiting.length > 0, "its commits wait");
    while (held.waiting.length > 0) held.waiting[0].fail();
    held.release();
    await (await server.connect(version, { clientId: one.clientId, clean: true })).disconnect();
    // Both were to be tried again at the same time.
    await secondsPass();
    await eventually(() => told.length > 2, "the other one is tried again");
    expect(told.slice(2)).toEqual(["t1 removed"]);
  });
});
