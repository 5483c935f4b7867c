// Kept sessions whose profile no listener has any more: they get an end, which goes when the profile comes back.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createBroker, type Broker } from "../../src/broker.ts";
import type { Policy } from "../../src/access/policy.ts";
import { openStore } from "../../src/store/open-store.ts";
import { connectInMemory, dropMemoryClients } from "../routing/memory-client.ts";
import { openPolicy } from "../support/policy.ts";
import { eventually, unique } from "../support/server.ts";

const DAY_MS = 86_400_000;
let directory: string;
let broker: Broker | undefined;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "unserved-"));
});
afterEach(async () => {
  vi.restoreAllMocks();
  dropMemoryClients();
  await broker?.close({ drainMs: 0 });
  broker = undefined;
  await rm(directory, { recursive: true, force: true });
});

const profile = (namespace: string): Policy => openPolicy({ override: { namespace } });

/** A broker on the same directory, at another time. */
async function start(served: Policy, days = 0): Promise<Broker> {
  dropMemoryClients();
  await broker?.close({ drainMs: 0 });
  vi.restoreAllMocks();
  if (days > 0) {
    const now = Date.now.bind(Date);
    vi.spyOn(Date, "now").mockImplementation(() => now() + days * DAY_MS);
  }
  broker = await createBroker({
    store: await openStore({ directory, level: "process" }),
    profile: served,
    sysInterval: 0,
  });
  return broker;
}

async function leaveSession(clientId: string): Promise<void> {
  const first = await start(profile("one"));
  const client = await connectInMemory(first, 4, { clientId, clean: false });
  await client.subscribe([{ filter: "t", qos: 1 }]);
}

const figure = (name: string): number => (broker as Broker).metrics()[name] as number;

test("it ends after 30 days, restarts included", async () => {
  await leaveSession("c");
  await start(profile("two"));
  expect([figure("clients.total"), figure("sessions.unserved")]).toEqual([1, 1]);
  await start(profile("two"), 20);
  expect([figure("clients.total"), figure("sessions.unserved")]).toEqual([1, 1]);
  await start(profile("two"), 31);
  expect([figure("clients.total"), figure("sessions.unserved")]).toEqual([0, 0]);
  await start(profile("one"));
  expect(figure("clients.total")).toBe(0);
});

test("where its profile is back the end is gone for good", async () => {
  const clientId = unique();
  await leaveSession(clientId);
  await start(profile("two"));
  await start(profile("one"), 20);
  expect([figure("clients.total"), figure("sessions.unserved")]).toEqual([1, 0]);
  await start(profile("two"), 40);
  expect([figure("clients.total"), figure("sessions.unserved")]).toEqual([1, 1]);
  // 30 days from the 40th, not from the first time it had no profile.
  await start(profile("two"), 69);
  expect(figure("clients.total")).toBe(1);
  await start(profile("two"), 71);
  expect(figure("clients.total")).toBe(0);
});

test("a listener of the profile that opens later saves it, and its client finds it", async () => {
  const clientId = unique();
  await leaveSession(clientId);
  const second = await start(profile("two"));
  const listener = await second.listen({ port: 0, profile: profile("one") });
  expect(listener.port).toBeGreaterThan(0);
  await eventually(() => figure("sessions.unserved") === 0, "it is served");
  const third = await start(profile("one"), 400);
  const client = await connectInMemory(third, 4, { clientId, clean: false });
  expect(client.connack.sessionPresent).toBe(true);
});
