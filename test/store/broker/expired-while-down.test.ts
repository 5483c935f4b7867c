// Sessions whose time is over before the broker comes back: they are gone, and a Will that waited for their end is sent.
import { afterEach, beforeEach, expect, test } from "vitest";
import { type DurableStore, openStore } from "../../../src/store/open-store.ts";
import { TestServer, unique } from "../../support/server.ts";
import type { ConnectOptions } from "../../support/wire.ts";
import { temporaryDirectory } from "../directories.ts";
import { leap } from "../../support/time.ts";

let directory: string;
let store: DurableStore;
let server: TestServer;

async function start(): Promise<void> {
  store = await openStore({ directory, level: "process" });
  server = new TestServer(() => ({ sysInterval: 0, store }));
  await server.start();
}
async function stop(): Promise<void> {
  await server.stop();
  await store.close();
}
beforeEach(async () => {
  directory = temporaryDirectory();
  await start();
});
afterEach(stop);

/** A client with a Will that waits longer than its session lives; both are over when the broker is there again. */
async function dieOverRestart(will: string): Promise<ConnectOptions> {
  const options = { clientId: unique(), clean: false, properties: { sessionExpiryInterval: 1 } };
  const client = await server.connect(5, {
    ...options,
    will: { topic: will, payload: "late", qos: 1, retain: true, properties: { willDelayInterval: 100 } },
  });
  await client.subscribe([{ filter: "t", qos: 1 }]);
  await client.disconnect(0x04);
  await stop();
  await leap(1_200);
  await start();
  return options;
}

test("the Will is sent, by itself [MQTT-3.1.3-9]", async () => {
  const will = unique();
  await dieOverRestart(will);
  const watcher = await server.connect(5);
  await watcher.subscribe([{ filter: will, qos: 1 }]);
  expect(await watcher.receive()).toMatchObject({ topic: will, text: "late" });
});

test("the session cannot be resumed, and its Will is sent before its client goes on", async () => {
  const will = unique();
  const options = await dieOverRestart(will);
  const again = await server.connect(5, options);
  expect(again.connack.sessionPresent).toBe(false);
  await again.subscribe([{ filter: will, qos: 1 }]);
  expect(await again.receive()).toMatchObject({ topic: will, text: "late" });
});
