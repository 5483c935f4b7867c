// The request/response loop of a program that embeds the broker, over real sockets: what a 5.0 device asks goes up with both
// properties, and the answer by publish() brings back every byte.
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { BOTH, useServer } from "../../../support/server.ts";
import { connectDevice, PK, registryOf } from "../../signed-device.ts";

const server = useServer({
  profile: "platform",
  devices: registryOf("asker3", "asker5", "asks1"),
  platform: { rates: { enabled: false } },
});

/** What goes up from a device's own topics, one after the other. */
function requests() {
  const reader = server.broker.upstream();
  const messages = reader[Symbol.asyncIterator]();
  const next = async () => {
    for (;;) {
      const { value, done } = await messages.next();
      if (done) throw new Error("the feed has ended");
      if (value.kind === "data") return value;
    }
  };
  return { next, close: () => reader.close() };
}

test("[V5-8] CorrelationData of any bytes goes up and comes back by broker.publish(), for QoS 0 and 1", async () => {
  const device = await connectDevice(server, 5, "asks1");
  const responseTopic = `/${PK}/asks1/user/get`;
  await device.subscribe([{ filter: responseTopic, qos: 1 }]);
  const up = requests();
  const all = Array.from({ length: 256 }, (_, i) => i);
  const bytes = [Buffer.alloc(0), Buffer.of(0), Buffer.from(all.slice(0, 128)), Buffer.from(all.slice(128))];
  for (let size = 1; size <= 128; size += 9) bytes.push(randomBytes(size));
  for (const [at, correlationData] of bytes.entries()) {
    const qos = at % 2 === 0 ? 0 : 1;
    const properties = { responseTopic, correlationData };
    await device.publish(`/${PK}/asks1/user/update`, `question ${at}`, { qos, properties });
    const asked = await up.next();
    expect(asked.payload.toString()).toBe(`question ${at}`);
    expect(asked.properties.responseTopic).toBe(responseTopic);
    expect(Buffer.from(asked.properties.correlationData ?? "missing")).toEqual(correlationData);
    await server.broker.publish({
      topic: asked.properties.responseTopic ?? "",
      payload: `answer ${at}`,
      qos,
      properties: { correlationData: asked.properties.correlationData },
    });
    const answer = await device.next("publish");
    expect(answer).toMatchObject({ topic: responseTopic, text: `answer ${at}`, qos });
    expect(answer.properties?.correlationData).toEqual(correlationData);
    if (qos === 1) device.send(device.wire.puback(answer.id ?? 0));
  }
  up.close();
});

test.each(BOTH)("[V5-8] MQTT %s: an answer waits for a device that is away", async (_name, version) => {
  const name = version === 5 ? "asker5" : "asker3";
  const kept = { clean: false, properties: { sessionExpiryInterval: 1_000 } };
  const first = await connectDevice(server, version, name, kept);
  const topic = `/${PK}/${name}/user/get`;
  await first.subscribe([{ filter: topic, qos: 1 }]);
  await first.disconnect();
  const correlationData = Buffer.from([0, 255, 10, 0]);
  await server.broker.publish({ topic, payload: "late", qos: 1, properties: { correlationData } });
  const again = await connectDevice(server, version, name, kept);
  const answer = await again.next("publish");
  expect(answer).toMatchObject({ topic, text: "late", qos: 1 });
  // Before 5.0 there is no place for it [V5-15].
  expect(answer.properties?.correlationData).toEqual(version === 5 ? correlationData : undefined);
});
