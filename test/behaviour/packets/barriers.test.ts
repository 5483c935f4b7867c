// Packets of one connection act strictly in order, however they are cut into chunks: a PUBLISH behind a SUBSCRIBE sees
// the new subscription, and nothing behind DISCONNECT or a refused CONNECT is processed.
import { describe, expect, test } from "vitest";
import { ALL, unique, useServer } from "../../support/server.ts";
import { describePacket, type RawClient } from "../../support/raw-client.ts";
import type { Version } from "../../support/wire.ts";

const server = useServer();
type Send = (client: RawClient, bytes: Buffer) => Promise<void>;
const modes: [string, Send][] = [
  ["as one chunk", async (client, bytes) => client.send(bytes)],
  ["split at every byte", (client, bytes) => client.sendSplit(bytes)],
  ["in pieces of 7 bytes", (client, bytes) => client.sendSplit(bytes, 7)],
];
const all = ALL.flatMap(([name, version]) =>
  modes.map(([mode, send]) => [name, mode, version, send] as [string, string, Version, Send]),
);

describe.each(all)("MQTT %s, %s", (_name, _mode, version, send) => {
  test("CONNECT, SUBSCRIBE, PUBLISH, UNSUBSCRIBE, PUBLISH, SUBSCRIBE, PUBLISH, DISCONNECT, PUBLISH", async () => {
    const topic = unique("all");
    const watcher = await server.connect(version);
    await watcher.subscribe(topic);
    const client = await server.open(version);
    const { wire } = client;
    const ended = client.closed();
    await send(
      client,
      Buffer.concat([
        wire.connect({ clientId: unique() }),
        wire.publish(topic, "0"),
        wire.subscribe(1, topic),
        wire.publish(topic, "1"),
        wire.publish(topic, "2", { qos: 1, id: 2 }),
        wire.unsubscribe(3, topic),
        wire.publish(topic, "3"),
        wire.subscribe(4, [{ filter: topic, qos: 1 }]),
        wire.publish(topic, "4", { qos: 1, id: 5 }),
        wire.pingreq(),
        wire.disconnect(),
      ]),
    ).catch(() => undefined);
    const packets = await ended;
    // A message and the acknowledgement of the same PUBLISH may change places: sorted within each step.
    const seen = packets.map((packet) =>
      packet.type === "publish" ? `publish ${packet.text}` : packet.type,
    );
    const order = seen.filter((text) => text !== "puback");
    expect(order).toEqual([
      "connack",
      "suback",
      "publish 1",
      "publish 2",
      "unsuback",
      "suback",
      "publish 4",
      "pingresp",
    ]);
    expect(seen.filter((text) => text === "puback")).toHaveLength(2);
    const texts = (await watcher.fence()).flatMap((packet) =>
      packet.type === "publish" ? [packet.text] : [],
    );
    expect(texts).toEqual(["0", "1", "2", "3", "4"]);
  });

  test("nothing behind DISCONNECT is processed [MQTT-3.14.4-1]", async () => {
    const topic = unique("behind");
    const watcher = await server.connect(version);
    await watcher.subscribe(topic);
    const client = await server.connect(version);
    await send(
      client,
      Buffer.concat([
        client.wire.publish(topic, "before"),
        client.wire.disconnect(),
        client.wire.publish(topic, "behind"),
      ]),
    ).catch(() => undefined);
    await client.expectClosed();
    expect(await watcher.next("publish")).toMatchObject({ text: "before" });
    await watcher.expectNothing();
  });

  test("nothing behind a refused CONNECT is processed [MQTT-3.1.4-6]", async () => {
    const topic = unique("refused");
    const watcher = await server.connect(version);
    await watcher.subscribe(topic);
    const client = await server.open(version);
    // An unknown level is refused in every version.
    const bytes = Buffer.concat([
      client.wire.connect({ clientId: unique(), level: 77 }),
      client.wire.publish(topic, "x"),
      client.wire.subscribe(1, topic),
    ]);
    client.stream.removeAllListeners("data").resume();
    await send(client, bytes).catch(() => undefined);
    await client.closed();
    await watcher.expectNothing();
  });

  test("QoS 2 in a row: PUBLISH and PUBREL of several messages", async () => {
    const topic = unique("qos2");
    const watcher = await server.connect(version);
    await watcher.subscribe([{ filter: topic, qos: 2 }]);
    const client = await server.connect(version);
    const { wire } = client;
    await send(
      client,
      Buffer.concat([
        wire.publish(topic, "a", { qos: 2, id: 1 }),
        wire.publish(topic, "b", { qos: 2, id: 2 }),
        wire.pubrel(1),
        wire.publish(topic, "c", { qos: 2, id: 1 }),
        wire.pubrel(2),
        wire.pubrel(1),
      ]),
    );
    const answers: string[] = [];
    for (let index = 0; index < 6; index++)
      answers.push(
        describePacket(await client.take((packet) => packet.type !== "publish", "answer")).split(" ")[0],
      );
    expect(answers).toEqual(["pubrec", "pubrec", "pubcomp", "pubrec", "pubcomp", "pubcomp"]);
    for (const text of ["a", "b", "c"]) expect(await watcher.receive()).toMatchObject({ text });
    await watcher.expectNothing();
  });

  test("many small messages of every QoS, a filter changed in the middle", async () => {
    const topic = unique("mix");
    const client = await server.connect(version);
    const { wire } = client;
    const bytes: Buffer[] = [wire.subscribe(1, [{ filter: topic, qos: 0 }])];
    for (let index = 0; index < 20; index++) {
      if (index === 10)
        bytes.push(
          wire.subscribe(2, [
            { filter: topic, qos: 0 },
            { filter: `${topic}/x`, qos: 0 },
          ]),
        );
      bytes.push(wire.publish(topic, `${index}`, { qos: index % 2 === 0 ? 0 : 1, id: 100 + index }));
    }
    await send(client, Buffer.concat(bytes));
    for (let index = 0; index < 20; index++) expect((await client.of("publish")).text).toBe(`${index}`);
    for (let index = 1; index < 20; index += 2) await client.of("puback", 100 + index);
    await client.of("suback", 1);
    await client.of("suback", 2);
    await client.expectNothing();
  });
});
