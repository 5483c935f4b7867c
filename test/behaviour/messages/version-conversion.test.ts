// Messages between clients of different protocol versions: topic, payload, QoS and RETAIN cross, properties do not.
import { describe, expect, test } from "vitest";
import { unique, useServer } from "../../support/server.ts";
import type { Version } from "../../support/wire.ts";

const server = useServer();
const pairs: [Version, Version][] = [
  [3, 4],
  [3, 5],
  [4, 3],
  [4, 5],
  [5, 3],
  [5, 4],
];
const properties = {
  payloadFormatIndicator: 1,
  messageExpiryInterval: 100,
  contentType: "t",
  responseTopic: "r",
  correlationData: "c",
  userProperty: [["a", "b"]] as [string, string][],
};

// One side of every pair is 3.x, or both: what arrives has no properties.
describe.each(pairs)("from level %i to level %i", (from, to) => {
  test.each([0, 1, 2] as const)("QoS %i", async (qos) => {
    const topic = unique("cross");
    const client = await server.connect(to);
    await client.subscribe([{ filter: topic, qos: 2 }]);
    const publisher = await server.connect(from);
    for (const payload of ["first", "", "third"]) {
      await publisher.publish(topic, payload, { qos, properties });
      expect(await client.receive()).toMatchObject({
        topic,
        text: payload,
        qos,
        retain: false,
        dup: false,
        properties: {},
      });
    }
    await client.expectNothing();
  });

  test("retained", async () => {
    const topic = unique("cross");
    const publisher = await server.connect(from);
    await publisher.publish(topic, "kept", { retain: true, qos: 1, properties });
    const client = await server.connect(to);
    await client.subscribe([{ filter: topic, qos: 1 }]);
    expect(await client.receive()).toMatchObject({
      topic,
      text: "kept",
      qos: 1,
      retain: true,
      properties: {},
    });
  });

  test("queued for a session that was away", async () => {
    const topic = unique("cross");
    const options = {
      clientId: unique(),
      clean: false,
      ...(to === 5 ? { properties: { sessionExpiryInterval: 100 } } : {}),
    };
    const first = await server.connect(to, options);
    await first.subscribe([{ filter: topic, qos: 2 }]);
    await first.disconnect();
    const publisher = await server.connect(from);
    for (const qos of [1, 2] as const) await publisher.publish(topic, `${qos}`, { qos, properties });
    const second = await server.connect(to, options);
    for (const qos of [1, 2] as const)
      expect(await second.receive()).toMatchObject({ text: `${qos}`, qos, properties: {} });
  });

  test("a Will", async () => {
    const topic = unique("cross");
    const client = await server.connect(to);
    await client.subscribe(topic);
    const publisher = await server.connect(from, { will: { topic, payload: "gone", properties } });
    publisher.destroy();
    expect(await client.next("publish")).toMatchObject({ text: "gone", properties: {} });
  });

  test("a session begun at one level goes on at the other, messages in flight with it", async () => {
    const topic = unique("cross");
    const clientId = unique();
    const keep = (version: Version): object =>
      version === 5 ? { properties: { sessionExpiryInterval: 100 } } : {};
    const first = await server.connect(from, { clientId, clean: false, ...keep(from) });
    await first.subscribe([{ filter: topic, qos: 1 }]);
    const publisher = await server.connect(from);
    await publisher.publish(topic, "unacknowledged", { qos: 1, properties });
    const sent = await first.next("publish");
    first.destroy();
    await publisher.publish(topic, "queued", { qos: 1, properties });
    const second = await server.connect(to, { clientId, clean: false, ...keep(to) });
    const again = await second.receive();
    expect(again).toMatchObject({ text: "unacknowledged", dup: true, id: sent.id });
    expect(await second.receive()).toMatchObject({ text: "queued", dup: false });
  });
});
