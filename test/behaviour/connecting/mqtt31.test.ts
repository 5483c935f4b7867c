// Rules of MQTT 3.1 that 3.1.1 changed: DUP on more packets, no refusal in SUBACK, no Session Present, long names.
import { describe, expect, test } from "vitest";
import { ours, unique, useServer } from "../../support/server.ts";

const server = useServer();

describe("MQTT 3.1", () => {
  test("DUP is allowed in SUBSCRIBE, UNSUBSCRIBE and PUBREL", async () => {
    const client = await server.connect(3);
    const topic = unique("dup");
    const withDup = (bytes: Buffer): Buffer => {
      bytes[0] |= 8;
      return bytes;
    };
    client.send(withDup(client.wire.subscribe(1, topic)));
    expect(await client.next("suback")).toMatchObject({ id: 1, reasons: [0] });
    client.send(client.wire.publish(topic, "x", { qos: 2, id: 2 }));
    await client.of("pubrec", 2);
    client.send(withDup(client.wire.pubrel(2)));
    expect(await client.of("pubcomp", 2)).toBeTruthy();
    expect(await client.next("publish")).toMatchObject({ text: "x" });
    client.send(withDup(client.wire.unsubscribe(3, topic)));
    expect(await client.next("unsuback")).toMatchObject({ id: 3 });
  });

  test("CONNACK never says Session Present", async () => {
    const options = { clientId: unique(), clean: false };
    await (await server.connect(3, options)).disconnect();
    const again = await server.connect(3, options);
    expect(again.connack.bytes.toString("hex")).toBe("20020000");
  });

  test.each([1, 23, 24, 65, 500])("a Client Identifier of %i characters is accepted", async (length) => {
    const client = await server.connect(3, { clientId: "c".repeat(length) });
    await client.expectNothing();
  });

  test("an empty Client Identifier is refused with code 2", async () => {
    for (const clean of [true, false]) {
      const client = await server.open(3);
      client.send(client.wire.connect({ clientId: "", clean }));
      await client.expectRefusal(2, 0);
    }
  });

  ours(
    "a refused subscription is not answered with 0x80, which 3.1 does not know; nothing is delivered",
    async () => {
      const stop = server.broker.use({
        authorizeSubscribe: ({ request }) => !request.filter.startsWith("forbidden"),
      });
      const client = await server.connect(3);
      const ack = await client.subscribe([
        { filter: "forbidden/a", qos: 1 },
        { filter: "allowed/a", qos: 1 },
      ]);
      expect(ack.reasons).toHaveLength(2);
      expect(ack.reasons[0]).toBeLessThanOrEqual(2);
      expect(ack.reasons[1]).toBe(1);
      await client.publish("forbidden/a", "x");
      await client.expectNothing();
      stop();
    },
  );

  test("a repeated PUBREL of the server carries DUP or not, and is answered all the same", async () => {
    const options = { clientId: unique(), clean: false };
    const topic = unique();
    const first = await server.connect(3, options);
    await first.subscribe([{ filter: topic, qos: 2 }]);
    const publisher = await server.connect(3);
    await publisher.publish(topic, "x", { qos: 2 });
    const message = await first.next("publish");
    first.send(first.wire.pubrec(message.id));
    await first.next("pubrel");
    first.destroy();
    const second = await server.connect(3, options);
    expect(await second.next("pubrel")).toMatchObject({ id: message.id });
    second.send(second.wire.pubcomp(message.id));
    await second.expectNothing();
  });
});
