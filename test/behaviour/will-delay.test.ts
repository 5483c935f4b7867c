// Will Delay Interval: the Will waits, and is cancelled or hurried by what happens to the session meanwhile [MQTT-3.1.3-9].
import { describe, expect, test } from "vitest";
import { unique, useServer } from "../support/server.ts";
import type { RawClient } from "../support/raw-client.ts";
import type { Properties } from "../support/wire.ts";

const server = useServer({}, { concurrent: true });

async function watch(topic: string): Promise<RawClient> {
  const watcher = await server.connect(5, { keepAlive: 0 });
  await watcher.subscribe([{ filter: topic, qos: 1 }]);
  return watcher;
}
const mortal = (
  clientId: string,
  topic: string,
  willDelayInterval: number,
  properties: Properties,
  payload = "late",
): Promise<RawClient> =>
  server.connect(5, {
    clientId,
    clean: false,
    properties,
    will: { topic, payload, qos: 1, properties: { willDelayInterval } },
  });

/** Another client's Will with the same delay, which begins now, comes; none came before it or with it. */
async function expectOnlyLater(watcher: RawClient, topic: string, willDelayInterval: number): Promise<void> {
  const later = await mortal(unique(), topic, willDelayInterval, { sessionExpiryInterval: 100 }, "later");
  later.destroy();
  expect(await watcher.receive()).toMatchObject({ text: "later" });
  await watcher.expectNothing();
}

describe.concurrent("MQTT 5.0: a Will with a delay", () => {
  test("fires when the delay has passed", async () => {
    const topic = unique("delay");
    const watcher = await watch(topic);
    const client = await mortal(unique(), topic, 1, { sessionExpiryInterval: 100 });
    client.destroy();
    const start = performance.now();
    const message = await watcher.receive();
    expect(performance.now() - start).toBeGreaterThan(800);
    expect(message.properties).toEqual({});
  });

  test("is cancelled when the session is resumed in time", async () => {
    const topic = unique("cancelled");
    const clientId = unique();
    const watcher = await watch(topic);
    const client = await mortal(clientId, topic, 2, { sessionExpiryInterval: 100 });
    client.destroy();
    const again = await server.connect(5, {
      clientId,
      clean: false,
      properties: { sessionExpiryInterval: 100 },
    });
    expect(again.connack.sessionPresent).toBe(true);
    await expectOnlyLater(watcher, topic, 2);
  });

  test("fires when the session expires before the delay has passed", async () => {
    // The session ends first: the Will is published then.
    const topic = unique("session-end");
    const watcher = await watch(topic);
    const client = await mortal(unique(), topic, 60, { sessionExpiryInterval: 1 });
    client.destroy();
    const start = performance.now();
    await watcher.receive();
    expect(performance.now() - start).toBeGreaterThan(800);
  });

  test("fires at once where the session ends with the connection", async () => {
    // Session Expiry Interval 0: the session ends at once, and with it the delay.
    const topic = unique("no-session");
    const watcher = await watch(topic);
    const client = await mortal(unique(), topic, 60, {});
    client.destroy();
    await watcher.receive(1_500);
  });

  test("fires when Clean Start ends the session", async () => {
    // Clean Start ends the old session: its Will is due.
    const topic = unique("clean-start");
    const clientId = unique();
    const watcher = await watch(topic);
    const client = await mortal(clientId, topic, 60, { sessionExpiryInterval: 100 });
    client.destroy();
    await server.connect(5, { clientId, clean: true });
    await watcher.receive(1_500);
  });

  test("is cancelled by a takeover that resumes the session", async () => {
    // Takeover resumes the session: with a delay the Will is cancelled.
    const topic = unique("taken-over");
    const clientId = unique();
    const watcher = await watch(topic);
    const client = await mortal(clientId, topic, 1, { sessionExpiryInterval: 100 });
    await server.connect(5, { clientId, clean: false, properties: { sessionExpiryInterval: 100 } });
    await client.closed();
    await expectOnlyLater(watcher, topic, 1);
  });

  test("of 0 fires at takeover", async () => {
    // Takeover with a delay of 0: published at once.
    const topic = unique("taken-over-now");
    const clientId = unique();
    const watcher = await watch(topic);
    await mortal(clientId, topic, 0, { sessionExpiryInterval: 100 });
    await server.connect(5, { clientId, clean: false, properties: { sessionExpiryInterval: 100 } });
    await watcher.receive(1_500);
  });

  test("never fires after DISCONNECT 0x00", async () => {
    const topic = unique("good");
    const watcher = await watch(topic);
    const client = await mortal(unique(), topic, 1, { sessionExpiryInterval: 100 });
    await client.disconnect(0);
    await expectOnlyLater(watcher, topic, 1);
  });

  test("starts at DISCONNECT 0x04", async () => {
    const topic = unique("with-will");
    const watcher = await watch(topic);
    const client = await mortal(unique(), topic, 1, { sessionExpiryInterval: 100 });
    await client.disconnect(4);
    const start = performance.now();
    await watcher.receive();
    expect(performance.now() - start).toBeGreaterThan(800);
  });

  test("does not hold the Will back where DISCONNECT ends the session", async () => {
    // DISCONNECT with Will and Session Expiry 0: the session ends, the Will does not wait.
    const topic = unique("ended");
    const watcher = await watch(topic);
    const client = await mortal(unique(), topic, 60, { sessionExpiryInterval: 100 });
    await client.disconnect(4, { sessionExpiryInterval: 0 });
    await watcher.receive(1_500);
  });
});
