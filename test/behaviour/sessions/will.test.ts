// When a Will is published and when it is not [MQTT-3.1.2-8] [MQTT-3.14.4-3].
import { describe, expect, test } from "vitest";
import { ALL, BOTH, ours, TestServer, unique, useServer, keptSession } from "../../support/server.ts";
import type { Properties } from "../../support/wire.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { secondsPass, useManualClock } from "../../support/time.ts";

useManualClock();
const server = useServer();
type Ending = (client: RawClient, clientId: string) => Promise<void> | void;

describe.each(ALL)("MQTT %s", (_name, version) => {
  async function dies(end: Ending, keepAlive = 60): Promise<RawClient> {
    const topic = unique("will");
    const watcher = await server.connect(version);
    await watcher.subscribe([{ filter: topic, qos: 2 }]);
    const clientId = unique("mortal");
    const client = await server.connect(version, {
      clientId,
      keepAlive,
      will: { topic, payload: "gone", qos: 1 },
    });
    await end(client, clientId);
    return watcher;
  }

  const fires: [string, Ending, number?][] = [
    ["the connection is lost", (client) => client.destroy()],
    ["the connection is closed without DISCONNECT", (client) => void client.stream.end()],
    [
      "Keep Alive has passed",
      async (client) => {
        await secondsPass(2);
        await client.closed();
      },
      1,
    ],
    ["a protocol error ends the connection", (client) => client.send(client.wire.connect())],
    ["malformed bytes end the connection", (client) => client.send(Buffer.from([0x36, 0]))],
    [
      "another connection takes the session over",
      async (_client, clientId) => void (await server.connect(version, { clientId })),
    ],
  ];
  test.each(fires)("fires when %s", async (_what, end, keepAlive) => {
    const watcher = await dies(end, keepAlive);
    expect(await watcher.receive()).toMatchObject({ text: "gone", qos: 1, retain: false });
    await watcher.expectNothing();
  });

  test("does not fire after DISCONNECT [MQTT-3.1.2-10]", async () => {
    const watcher = await dies((client) => client.disconnect());
    await watcher.expectNothing();
  });

  test("does not fire after DISCONNECT and a lost connection", async () => {
    const watcher = await dies(async (client) => {
      client.send(client.wire.disconnect());
      await client.closed();
      client.destroy();
    });
    await watcher.expectNothing();
  });

  test("does not fire where CONNECT was refused", async () => {
    const topic = unique("will");
    const watcher = await server.connect(version);
    await watcher.subscribe(topic);
    const client = await server.open(version);
    client.send(
      client.wire.connect({
        clientId: unique(),
        will: { topic, payload: "x", qos: 2 },
        flipFlags: 0b0000_1000,
      }),
    );
    await client.closed();
    await watcher.expectNothing();
  });

  test.each([0, 1, 2] as const)(
    "is published with QoS %i and stored where Will Retain is set [MQTT-3.1.2-17]",
    async (qos) => {
      const topic = unique("will");
      const watcher = await server.connect(version);
      await watcher.subscribe([{ filter: topic, qos: 2 }]);
      const client = await server.connect(version, { will: { topic, payload: "kept", qos, retain: true } });
      client.destroy();
      expect(await watcher.receive()).toMatchObject({ text: "kept", qos, retain: false });
      const late = await server.connect(version);
      await late.subscribe([{ filter: topic, qos: 2 }]);
      expect(await late.receive()).toMatchObject({ text: "kept", qos, retain: true });
    },
  );

  test("an empty Will Payload with Will Retain clears the retained message", async () => {
    const topic = unique("will");
    const watcher = await server.connect(version);
    await watcher.publish(topic, "old", { retain: true });
    await watcher.subscribe(topic);
    expect(await watcher.next("publish")).toMatchObject({ text: "old" });
    const client = await server.connect(version, { will: { topic, payload: "", retain: true } });
    client.destroy();
    expect(await watcher.next("publish")).toMatchObject({ text: "" });
    await watcher.subscribe(topic);
    await watcher.expectNothing();
  });

  test("goes to queued sessions as well", async () => {
    const topic = unique("will");
    const options = keptSession();
    const sleeper = await server.connect(version, options);
    await sleeper.subscribe([{ filter: topic, qos: 1 }]);
    await sleeper.disconnect();
    const watcher = await server.connect(version);
    await watcher.subscribe(topic);
    const client = await server.connect(version, { will: { topic, payload: "for later", qos: 1 } });
    client.destroy();
    await watcher.next("publish");
    const awake = await server.connect(version, options);
    expect(await awake.receive()).toMatchObject({ text: "for later", qos: 1 });
  });

  test("fires once: not again when the session is resumed and ends well", async () => {
    const topic = unique("will");
    const watcher = await server.connect(version);
    await watcher.subscribe(topic);
    const clientId = unique();
    const client = await server.connect(version, {
      clientId,
      clean: false,
      will: { topic, payload: "once" },
    });
    client.destroy();
    expect(await watcher.next("publish")).toMatchObject({ text: "once" });
    // The new connection has no Will.
    const again = await server.connect(version, { clientId, clean: false });
    again.destroy();
    await (await server.connect(version, { clientId })).disconnect();
    await watcher.expectNothing();
  });
});

describe("MQTT 5.0", () => {
  // Every code a client may send but 0x00 [MQTT-3.1.2-8], [MQTT-3.14.4-3].
  test.each([0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99])(
    "DISCONNECT with reason %i fires the Will",
    async (reason) => {
      const topic = unique("will");
      const watcher = await server.connect(5);
      await watcher.subscribe(topic);
      const client = await server.connect(5, { will: { topic, payload: "on purpose" } });
      await client.disconnect(reason);
      expect(await watcher.next("publish")).toMatchObject({ text: "on purpose" });
    },
  );

  test("carries its properties: format, type, response topic, correlation, expiry, user properties in order", async () => {
    const topic = unique("will");
    const watcher = await server.connect(5);
    await watcher.subscribe(topic);
    const properties: Properties = {
      payloadFormatIndicator: 1,
      messageExpiryInterval: 60,
      contentType: "text/plain",
      responseTopic: "answer/here",
      correlationData: Buffer.from([0, 1, 255]),
      userProperty: [
        ["b", "1"],
        ["a", "2"],
        ["b", "3"],
      ],
    };
    const client = await server.connect(5, { will: { topic, payload: "text", properties } });
    client.destroy();
    expect((await watcher.next("publish")).properties).toEqual(properties);
  });

  test("a client with No Local does not get its own Will through a session that lives on", async () => {
    const topic = unique("will");
    const options = keptSession();
    const watcher = await server.connect(5);
    await watcher.subscribe(topic);
    const client = await server.connect(5, { ...options, will: { topic, payload: "own", qos: 1 } });
    await client.subscribe([{ filter: topic, qos: 1, noLocal: true }]);
    client.destroy();
    expect(await watcher.next("publish")).toMatchObject({ text: "own" });
    const again = await server.connect(5, options);
    await again.expectNothing();
  });
});

describe.each(BOTH)("server shutdown, MQTT %s", (_name, version) => {
  ours("5.0 clients are told 0x8B, all are closed", async () => {
    const other = new TestServer();
    await other.start();
    const client = await other.connect(version, { will: { topic: "w", payload: "x" } });
    const ended = client.expectEnd(0x8b);
    await other.broker.close();
    await ended;
    await other.stop();
  });
});
