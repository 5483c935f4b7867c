// Will Delay Interval: the Will waits, and is cancelled or hurried by what happens to the session meanwhile [MQTT-3.1.3-9].
// Against Mosquitto 2.0.11 four of these fail: it waits for the delay although the session has ended, which [MQTT-3.1.2-8] (3.1.3.2.2,
// "or the Session ends, whichever happens first") forbids, and forgets the Will of delay 0 at a takeover, against 3.1.4.
import { describe, expect, test } from "vitest";
import type { Packet, Publish } from "../../support/packet.ts";
import { eventually, unique, useServer } from "../../support/server.ts";
import type { RawClient } from "../../support/raw-client.ts";
import type { Properties } from "../../support/wire.ts";
import { secondsPass, useManualClock } from "../../support/time.ts";

useManualClock();
const server = useServer();

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
): Promise<RawClient> =>
  server.connect(5, {
    clientId,
    clean: false,
    properties,
    will: { topic, payload: "late", qos: 1, properties: { willDelayInterval } },
  });

/** The Will does not come yet; but it does as the seconds pass. */
async function comesInTime(watcher: RawClient): Promise<Publish> {
  await watcher.expectNothing();
  const come: Packet[] = [];
  await eventually(async () => {
    await secondsPass();
    come.push(...(await watcher.fence()));
    return come.length > 0;
  }, "the Will");
  expect(come).toMatchObject([{ type: "publish", qos: 1 }]);
  return come[0] as Publish;
}

describe("MQTT 5.0: a Will with a delay", () => {
  test("fires when the delay has passed", async () => {
    const topic = unique("delay");
    const watcher = await watch(topic);
    const client = await mortal(unique(), topic, 1, { sessionExpiryInterval: 100 });
    client.destroy();
    const message = await comesInTime(watcher);
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
    await secondsPass(3);
    await watcher.expectNothing();
  });

  test("fires when the session expires before the delay has passed", async () => {
    // The session ends first: the Will is published then.
    const topic = unique("session-end");
    const watcher = await watch(topic);
    const client = await mortal(unique(), topic, 60, { sessionExpiryInterval: 1 });
    client.destroy();
    await comesInTime(watcher);
  });

  test("fires at once where the session ends with the connection", async () => {
    // Session Expiry Interval 0: the session ends at once, and with it the delay.
    const topic = unique("no-session");
    const watcher = await watch(topic);
    const client = await mortal(unique(), topic, 60, {});
    client.destroy();
    await watcher.receive();
  });

  test("fires when Clean Start ends the session", async () => {
    // Clean Start ends the old session: its Will is due.
    const topic = unique("clean-start");
    const clientId = unique();
    const watcher = await watch(topic);
    const client = await mortal(clientId, topic, 60, { sessionExpiryInterval: 100 });
    client.destroy();
    await server.connect(5, { clientId, clean: true });
    await watcher.receive();
  });

  test("is cancelled by a takeover that resumes the session", async () => {
    // Takeover resumes the session: with a delay the Will is cancelled.
    const topic = unique("taken-over");
    const clientId = unique();
    const watcher = await watch(topic);
    const client = await mortal(clientId, topic, 1, { sessionExpiryInterval: 100 });
    await server.connect(5, { clientId, clean: false, properties: { sessionExpiryInterval: 100 } });
    await client.closed();
    await secondsPass(2);
    await watcher.expectNothing();
  });

  test("of 0 fires at takeover", async () => {
    // Takeover with a delay of 0: published at once.
    const topic = unique("taken-over-now");
    const clientId = unique();
    const watcher = await watch(topic);
    await mortal(clientId, topic, 0, { sessionExpiryInterval: 100 });
    await server.connect(5, { clientId, clean: false, properties: { sessionExpiryInterval: 100 } });
    await watcher.receive();
  });

  test("never fires after DISCONNECT 0x00", async () => {
    const topic = unique("good");
    const watcher = await watch(topic);
    const client = await mortal(unique(), topic, 1, { sessionExpiryInterval: 100 });
    await client.disconnect(0);
    await secondsPass(2);
    await watcher.expectNothing();
  });

  test("starts at DISCONNECT 0x04", async () => {
    const topic = unique("with-will");
    const watcher = await watch(topic);
    const client = await mortal(unique(), topic, 1, { sessionExpiryInterval: 100 });
    await client.disconnect(4);
    await comesInTime(watcher);
  });

  test("does not hold the Will back where DISCONNECT ends the session", async () => {
    // DISCONNECT with Will and Session Expiry 0: the session ends, the Will does not wait.
    const topic = unique("ended");
    const watcher = await watch(topic);
    const client = await mortal(unique(), topic, 60, { sessionExpiryInterval: 100 });
    await client.disconnect(4, { sessionExpiryInterval: 0 });
    await watcher.receive();
  });
});
