// Clean Session and Clean Start: when a session is new, when it is resumed, and what CONNACK says.
import { describe, expect, test } from "vitest";
import { ALL, BOTH, unique, useServer } from "../../support/server.ts";
import type { ConnectOptions, Version } from "../../support/wire.ts";

const server = useServer();
const persistent = (version: Version, clientId: string, clean = false): ConnectOptions => ({
  clientId,
  clean,
  ...(version === 5 ? { properties: { sessionExpiryInterval: 3_600 } } : {}),
});

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("a session is kept and resumed: Session Present 1 [MQTT-3.2.2-2]", async () => {
    const clientId = unique();
    const first = await server.connect(version, persistent(version, clientId));
    expect(first.connack.sessionPresent).toBe(false);
    await first.disconnect();
    const second = await server.connect(version, persistent(version, clientId));
    expect(second.connack.sessionPresent).toBe(true);
  });

  test("Clean Start discards the session [MQTT-3.1.2-4]", async () => {
    const clientId = unique();
    const topic = unique("clean");
    const first = await server.connect(version, persistent(version, clientId));
    await first.subscribe(topic);
    await first.disconnect();
    const second = await server.connect(version, persistent(version, clientId, true));
    expect(second.connack.sessionPresent).toBe(false);
    await second.publish(topic, "x");
    await second.expectNothing();
  });

  test("a clean session leaves nothing behind", async () => {
    const clientId = unique();
    const first = await server.connect(version, { clientId, clean: true });
    await first.subscribe(unique());
    await first.disconnect();
    const second = await server.connect(version, persistent(version, clientId));
    expect(second.connack.sessionPresent).toBe(false);
  });

  test("a session without subscriptions is a session", async () => {
    const clientId = unique();
    await (await server.connect(version, persistent(version, clientId))).disconnect();
    expect((await server.connect(version, persistent(version, clientId))).connack.sessionPresent).toBe(true);
  });
});

describe.each(ALL)("MQTT %s", (_name, version) => {
  test("subscriptions and queued QoS 1 and 2 messages outlive the connection [MQTT-3.1.2-5]", async () => {
    const clientId = unique();
    const topic = unique("kept");
    const first = await server.connect(version, persistent(version, clientId));
    await first.subscribe([{ filter: topic, qos: 2 }]);
    await first.disconnect();
    const publisher = await server.connect(version);
    await publisher.publish(topic, "one", { qos: 1 });
    await publisher.publish(topic, "two", { qos: 2 });
    await publisher.publish(topic, "three", { qos: 1 });
    const second = await server.connect(version, persistent(version, clientId));
    expect(await second.receive()).toMatchObject({ text: "one", qos: 1, dup: false });
    expect(await second.receive()).toMatchObject({ text: "two", qos: 2, dup: false });
    expect(await second.receive()).toMatchObject({ text: "three", qos: 1, dup: false });
    await publisher.publish(topic, "live", { qos: 1 });
    expect(await second.receive()).toMatchObject({ text: "live" });
    await second.expectNothing();
  });

  test("the session is kept when the connection is lost without DISCONNECT", async () => {
    const clientId = unique();
    const topic = unique("lost");
    const first = await server.connect(version, persistent(version, clientId));
    await first.subscribe([{ filter: topic, qos: 1 }]);
    first.destroy();
    const publisher = await server.connect(version);
    await publisher.publish(topic, "x", { qos: 1 });
    const second = await server.connect(version, persistent(version, clientId));
    expect(await second.receive()).toMatchObject({ text: "x" });
  });

  test("messages published while the client is away come in order, a thousand of them", async () => {
    const clientId = unique();
    const topic = unique("many");
    const first = await server.connect(version, persistent(version, clientId));
    await first.subscribe([{ filter: topic, qos: 1 }]);
    await first.disconnect();
    const publisher = await server.connect(version);
    const count = 1_000;
    for (let start = 0; start < count; start += 10) {
      publisher.send(
        ...Array.from({ length: 10 }, (_, i) =>
          publisher.wire.publish(topic, `${start + i}`, { qos: 1, id: 1 + start + i }),
        ),
      );
      for (let i = 0; i < 10; i++) await publisher.of("puback", 1 + start + i);
    }
    const second = await server.connect(version, persistent(version, clientId));
    for (let index = 0; index < count; index++) expect((await second.receive()).text).toBe(`${index}`);
    await second.expectNothing();
  });
});
