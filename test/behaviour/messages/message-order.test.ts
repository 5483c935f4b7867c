// Messages of one publisher on one topic arrive in the order they were sent, for each QoS [MQTT-4.6.0-5] [MQTT-4.6.0-6].
import { describe, expect, test } from "vitest";
import { ALL, unique, useServer } from "../../support/server.ts";
import type { Qos } from "../../support/wire.ts";

const server = useServer({ mosquitto: ["max_inflight_messages 0", "max_queued_messages 0"] });

describe.each(ALL)("MQTT %s", (_name, version) => {
  test.each([0, 1, 2] as const)("500 messages of QoS %i", async (qos) => {
    const topic = unique("order");
    const client = await server.connect(version);
    await client.subscribe([{ filter: topic, qos: 2 }]);
    const publisher = await server.connect(version);
    const count = 500;
    publisher.send(
      ...Array.from({ length: count }, (_, index) =>
        publisher.wire.publish(topic, `${index}`, { qos, id: index + 1 }),
      ),
    );
    if (qos === 2) {
      for (let id = 1; id <= count; id++) {
        await publisher.of("pubrec", id);
        publisher.send(publisher.wire.pubrel(id));
      }
    }
    for (let index = 0; index < count; index++)
      expect(await client.receive()).toMatchObject({ text: `${index}`, qos, dup: false });
    await client.expectNothing();
  });

  test("mixed QoS: each in its own order, PUBACKs and PUBRECs in the order of their PUBLISHes", async () => {
    const topic = unique("order");
    const client = await server.connect(version);
    await client.subscribe([{ filter: topic, qos: 2 }]);
    const publisher = await server.connect(version);
    const count = 300;
    const packets = Array.from({ length: count }, (_, index) =>
      publisher.wire.publish(topic, `${index}`, { qos: (index % 3) as Qos, id: index + 1 }),
    );
    publisher.send(...packets);
    const pubacks: number[] = [];
    const pubrecs: number[] = [];
    while (pubacks.length + pubrecs.length < 200) {
      const packet = await publisher.take(
        (one) => one.type === "puback" || one.type === "pubrec",
        "acknowledgement",
      );
      if (packet.type === "puback") pubacks.push(packet.id);
      if (packet.type === "pubrec") pubrecs.push(packet.id);
    }
    expect(pubacks).toEqual(pubacks.toSorted((a, b) => a - b));
    expect(pubrecs).toEqual(pubrecs.toSorted((a, b) => a - b));
    for (const id of pubrecs) publisher.send(publisher.wire.pubrel(id));
    const seen: [number[], number[], number[]] = [[], [], []];
    for (let index = 0; index < count; index++) {
      const message = await client.of("publish");
      seen[message.qos].push(Number(message.text));
      if (message.qos === 1) client.send(client.wire.puback(message.id));
      if (message.qos === 2) {
        client.send(client.wire.pubrec(message.id));
        await client.of("pubrel", message.id);
        client.send(client.wire.pubcomp(message.id));
      }
    }
    for (const [qos, list] of seen.entries())
      expect(list).toEqual(Array.from({ length: 100 }, (_, index) => index * 3 + qos));
  });

  test("PUBRELs come in the order of PUBRECs [MQTT-4.6.0-4]", async () => {
    const topic = unique("order");
    const client = await server.connect(version);
    await client.subscribe([{ filter: topic, qos: 2 }]);
    const publisher = await server.connect(version);
    for (let index = 0; index < 6; index++) await publisher.publish(topic, `${index}`, { qos: 2 });
    const ids: number[] = [];
    for (let index = 0; index < 6; index++) ids.push((await client.next("publish")).id);
    const shuffled = [3, 0, 5, 1, 4, 2].map((index) => ids[index]);
    client.send(...shuffled.map((id) => client.wire.pubrec(id)));
    for (const id of shuffled) expect(await client.next("pubrel")).toMatchObject({ id });
  });
});
