// QoS 2 from the client: delivered once, however often PUBLISH and PUBREL are repeated, across reconnects [MQTT-4.3.3-2].
import { describe, expect, test } from "vitest";
import type { RawClient } from "../../support/raw-client.ts";
import { ALL, keptSession, unique, useServer } from "../../support/server.ts";

const server = useServer();

describe.each(ALL)("MQTT %s", (_name, version) => {
  /** A topic of the test's own, and somebody who hears what is delivered there. */
  async function watched(qos: 1 | 2 = 2): Promise<{ topic: string; watcher: RawClient }> {
    const topic = unique("once");
    const watcher = await server.connect(version);
    await watcher.subscribe([{ filter: topic, qos }]);
    return { topic, watcher };
  }

  test("a repeated PUBLISH before PUBREL is acknowledged again and not delivered again [MQTT-4.3.3-10]", async () => {
    const { topic, watcher } = await watched();
    const client = await server.connect(version);
    const { wire } = client;
    for (let turn = 0; turn < 3; turn++) {
      client.send(wire.publish(topic, "x", { qos: 2, id: 5, dup: turn > 0 }));
      expect(await client.next("pubrec")).toMatchObject({ id: 5 });
    }
    client.send(wire.pubrel(5));
    expect(await client.next("pubcomp")).toMatchObject({ id: 5 });
    expect(await watcher.receive()).toMatchObject({ text: "x", dup: false });
    await watcher.expectNothing();
    // The identifier is free: the same bytes are a new message.
    await client.publish(topic, "y", { qos: 2, id: 5 });
    expect(await watcher.receive()).toMatchObject({ text: "y" });
  });

  test("the same in one chunk", async () => {
    const { topic, watcher } = await watched();
    const client = await server.connect(version);
    const { wire } = client;
    client.send(
      wire.publish(topic, "x", { qos: 2, id: 5 }),
      wire.publish(topic, "x", { qos: 2, id: 5, dup: true }),
      wire.pubrel(5),
      wire.pubrel(5),
      wire.publish(topic, "y", { qos: 2, id: 5 }),
      wire.pubrel(5),
    );
    for (const type of ["pubrec", "pubrec", "pubcomp", "pubcomp", "pubrec", "pubcomp"] as const)
      expect(await client.next(type)).toMatchObject({ id: 5 });
    expect(await watcher.receive()).toMatchObject({ text: "x" });
    expect(await watcher.receive()).toMatchObject({ text: "y" });
    await watcher.expectNothing();
  });

  test("the connection is lost behind PUBLISH: the repetition is not delivered again", async () => {
    const { topic, watcher } = await watched();
    const options = keptSession();
    const first = await server.connect(version, options);
    first.send(first.wire.publish(topic, "x", { qos: 2, id: 9 }));
    await first.next("pubrec");
    first.destroy();
    const second = await server.connect(version, options);
    second.send(second.wire.publish(topic, "x", { qos: 2, id: 9, dup: true }));
    expect(await second.next("pubrec")).toMatchObject({ id: 9 });
    second.send(second.wire.pubrel(9));
    expect(await second.next("pubcomp")).toMatchObject({ id: 9 });
    expect(await watcher.receive()).toMatchObject({ text: "x" });
    await watcher.expectNothing();
  });

  test("the connection is lost behind PUBREL: PUBREL is answered again, and the identifier is free", async () => {
    const { topic, watcher } = await watched();
    const options = keptSession();
    const first = await server.connect(version, options);
    first.send(first.wire.publish(topic, "x", { qos: 2, id: 9 }), first.wire.pubrel(9));
    await first.of("pubcomp", 9);
    first.destroy();
    const second = await server.connect(version, options);
    second.send(second.wire.pubrel(9));
    expect(await second.next("pubcomp")).toMatchObject({ id: 9, reason: version === 5 ? 0x92 : 0 });
    await second.publish(topic, "y", { qos: 2, id: 9 });
    expect(await watcher.receive()).toMatchObject({ text: "x" });
    expect(await watcher.receive()).toMatchObject({ text: "y" });
    await watcher.expectNothing();
  });

  test("a new session forgets the identifiers: DUP does not keep a message from being delivered", async () => {
    const { topic, watcher } = await watched();
    const client = await server.connect(version);
    client.send(client.wire.publish(topic, "x", { qos: 2, id: 9, dup: true }), client.wire.pubrel(9));
    await client.of("pubcomp", 9);
    expect(await watcher.receive()).toMatchObject({ text: "x", dup: false });
  });

  test("DUP of the publisher is not passed on [MQTT-3.3.1-3]", async () => {
    const { topic, watcher } = await watched(1);
    const client = await server.connect(version);
    await client.publish(topic, "x", { qos: 1, dup: true });
    expect(await watcher.receive()).toMatchObject({ text: "x", dup: false });
  });

  test("takeover in the middle of the exchange", async () => {
    const { topic, watcher } = await watched();
    const options = keptSession();
    const first = await server.connect(version, options);
    first.send(first.wire.publish(topic, "x", { qos: 2, id: 9 }));
    await first.next("pubrec");
    const second = await server.connect(version, options);
    second.send(second.wire.publish(topic, "x", { qos: 2, id: 9, dup: true }), second.wire.pubrel(9));
    await second.of("pubcomp", 9);
    expect(await watcher.receive()).toMatchObject({ text: "x" });
    await watcher.expectNothing();
  });
});
