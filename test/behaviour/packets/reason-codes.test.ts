// Reason codes of acknowledgements (5.0): nobody listens, unknown identifiers, refusals by the receiver.
import { describe, expect, test } from "vitest";
import { BOTH, unique, useServer, keptSession } from "../../support/server.ts";

const server = useServer();

describe("MQTT 5.0", () => {
  test("0x10: PUBACK and PUBREC say that nobody subscribes", async () => {
    const client = await server.connect(5);
    const topic = unique("nobody");
    expect(await client.publish(topic, "x", { qos: 1 })).toMatchObject({ type: "puback", reason: 0x10 });
    client.send(client.wire.publish(topic, "x", { qos: 2, id: 77 }));
    expect(await client.of("pubrec", 77)).toMatchObject({ reason: 0x10 });
    client.send(client.wire.pubrel(77));
    expect(await client.of("pubcomp", 77)).toMatchObject({ reason: 0 });
    await client.subscribe(topic);
    expect(await client.publish(topic, "x", { qos: 1 })).toMatchObject({ type: "puback", reason: 0 });
  });

  test("0x10 also where the only subscriber is the sender with No Local", async () => {
    const client = await server.connect(5);
    const topic = unique("nobody");
    await client.subscribe([{ filter: topic, noLocal: true }]);
    expect(await client.publish(topic, "x", { qos: 1 })).toMatchObject({ type: "puback" });
    await client.expectNothing();
  });

  test("0x11: UNSUBACK says that there was no subscription", async () => {
    const client = await server.connect(5);
    await client.subscribe(["a", "b"]);
    expect((await client.unsubscribe(["a", "nothing", "b", "a"])).reasons).toEqual([0, 0x11, 0, 0x11]);
  });

  test("0x91: SUBSCRIBE and UNSUBSCRIBE with an identifier that a QoS 2 message holds", async () => {
    const client = await server.connect(5);
    client.send(client.wire.publish(unique(), "x", { qos: 2, id: 5 }));
    await client.of("pubrec", 5);
    client.send(client.wire.subscribe(5, ["a", "b"]));
    expect((await client.of("suback", 5)).reasons).toEqual([0x91, 0x91]);
    client.send(client.wire.unsubscribe(5, "a"));
    expect((await client.of("unsuback", 5)).reasons).toEqual([0x91]);
    client.send(client.wire.pubrel(5));
    await client.of("pubcomp", 5);
    client.send(client.wire.subscribe(5, "a"));
    expect((await client.of("suback", 5)).reasons).toEqual([0]);
  });

  test("0x92: PUBREL for an identifier that is not in use is answered with PUBCOMP 0x92", async () => {
    const client = await server.connect(5);
    client.send(client.wire.pubrel(1234));
    expect(await client.next("pubcomp")).toMatchObject({ id: 1234, reason: 0x92 });
  });

  test("0x92: PUBREC for an identifier that is not in use is answered with PUBREL 0x92", async () => {
    const client = await server.connect(5);
    client.send(client.wire.pubrec(1234));
    expect(await client.next("pubrel")).toMatchObject({ id: 1234, reason: 0x92 });
  });

  test("PUBACK and PUBCOMP for an identifier that is not in use do no harm", async () => {
    const client = await server.connect(5);
    client.send(client.wire.puback(1234), client.wire.pubcomp(1234));
    await client.expectNothing();
  });

  test("PUBREC with 0x80 or more ends the flow: no PUBREL, no retransmission [MQTT-4.3.3-4]", async () => {
    const topic = unique("refused");
    const options = keptSession();
    const client = await server.connect(5, options);
    await client.subscribe([{ filter: topic, qos: 2 }]);
    await client.publish(topic, "x", { qos: 2 });
    const message = await client.next("publish");
    client.send(client.wire.pubrec(message.id, 0x97));
    await client.expectNothing();
    client.destroy();
    const again = await server.connect(5, options);
    await again.expectNothing();
  });

  test("PUBACK with 0x80 or more ends the flow", async () => {
    const topic = unique("refused");
    const options = keptSession();
    const client = await server.connect(5, options);
    await client.subscribe([{ filter: topic, qos: 1 }]);
    await client.publish(topic, "x", { qos: 1 });
    const message = await client.next("publish");
    client.send(
      client.wire.puback(message.id, 0x83, { reasonString: "not for me", userProperty: [["a", "b"]] }),
    );
    await client.expectNothing();
    client.destroy();
    const again = await server.connect(5, options);
    await again.expectNothing();
  });

  test("acknowledgements in every form are understood: short, with code, with empty properties", async () => {
    const topic = unique("forms");
    const client = await server.connect(5);
    await client.subscribe([{ filter: topic, qos: 2 }]);
    const forms: [number?, object?][] = [[], [0], [0, {}], [0x10, { reasonString: "r" }]];
    for (const [reason, properties] of forms) {
      await client.publish(topic, "x", { qos: 1 });
      client.send(client.wire.puback((await client.next("publish")).id, reason, properties));
      await client.publish(topic, "y", { qos: 2 });
      const { id } = await client.next("publish");
      client.send(client.wire.pubrec(id, reason, properties));
      await client.of("pubrel", id);
      const last = reason === 0x10 ? 0 : reason;
      client.send(client.wire.pubcomp(id, last, properties));
      await client.expectNothing();
    }
  });

  test("DISCONNECT in every form is understood", async () => {
    for (const args of [[], [0], [0, {}], [0, { userProperty: [["a", "b"]] as [string, string][] }]] as [
      number?,
      object?,
    ][]) {
      const client = await server.connect(5);
      client.send(client.wire.disconnect(...args));
      await client.expectClosed();
    }
  });
});

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("PUBREL for an unknown identifier is answered with PUBCOMP [MQTT-4.3.3-12]", async () => {
    const client = await server.connect(version);
    client.send(client.wire.pubrel(9));
    expect(await client.next("pubcomp")).toMatchObject({ id: 9 });
  });

  test("acknowledgements have the identifiers of what they answer, whatever their order", async () => {
    const client = await server.connect(version);
    const ids = [500, 3, 65_535, 1, 256];
    client.send(...ids.map((id) => client.wire.publish(unique(), "x", { qos: 1, id })));
    for (const id of ids) expect(await client.next("puback")).toMatchObject({ id });
  });
});
