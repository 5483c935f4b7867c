// A commit that fails: whatever waited for it is refused, 3.x gets no acknowledgement, and nobody's session is the worse
// for it afterwards.
import { describe, expect, test } from "vitest";
import type { RawClient } from "../../support/raw-client.ts";
import { BOTH, keptSession } from "../../support/server.ts";
import type { ConnectOptions } from "../../support/wire.ts";
import { useHeldServer } from "../held-store.ts";
import { leap } from "../../support/time.ts";

const { held, server } = useHeldServer();

/** Lets the next commit fail, and those behind it run again. */
async function failNext(): Promise<void> {
  const commit = await held.commits(1);
  commit.fail();
  held.release();
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const v5 = version === 5;

  async function keeper(topic: string): Promise<[RawClient, ConnectOptions]> {
    const options = keptSession();
    const client = await server.connect(version, options);
    await client.subscribe([{ filter: topic, qos: 2 }]);
    return [client, options];
  }

  test("QoS 1: refused, and the next message of publisher and subscriber is as good as any", async () => {
    const [receiver] = await keeper("t");
    const publisher = await server.connect(version);
    held.hold();
    publisher.send(publisher.wire.publish("t", "lost", { qos: 1, id: 4 }));
    await failNext();
    if (v5) expect(await publisher.next("puback")).toMatchObject({ id: 4, reason: 0x80 });
    else await publisher.expectNothing();
    expect(await publisher.publish("t", "next", { qos: 1, id: 5 })).toMatchObject({ id: 5, reason: 0 });
    expect(await publisher.publish("t", "again", { qos: 1, id: 4 })).toMatchObject({ id: 4, reason: 0 });
    const texts: string[] = [];
    while (texts.at(-1) !== "again") texts.push((await receiver.receive()).text);
    expect(texts.slice(-2)).toEqual(["next", "again"]);
    await receiver.expectNothing();
    expect(server.broker.metrics()["errors.commit"]).toBe(1);
  });

  test("only what waited for that very commit is refused", async () => {
    await keeper("kept");
    const publisher = await server.connect(version);
    const { wire } = publisher;
    held.hold();
    publisher.send(
      wire.publish("kept", "", { qos: 1, id: 1 }),
      wire.publish("nobody", "", { qos: 1, id: 2 }),
    );
    const first = await held.commits(1);
    publisher.send(wire.publish("kept", "", { qos: 1, id: 3 }));
    const second = await held.commits(2);
    second.succeed();
    first.fail();
    if (v5) expect(await publisher.next("puback")).toMatchObject({ id: 1, reason: 0x80 });
    const other = await publisher.next("puback");
    expect(other.id).toBe(2);
    expect(other.reason).toBeLessThan(0x80);
    expect(await publisher.next("puback")).toMatchObject({ id: 3, reason: 0 });
  });

  test("QoS 2 to a kept session: refused, and the identifier can be used again", async () => {
    const [receiver] = await keeper("t");
    const publisher = await server.connect(version);
    held.hold();
    publisher.send(publisher.wire.publish("t", "lost", { qos: 2, id: 6 }));
    await failNext();
    if (v5) expect(await publisher.next("pubrec")).toMatchObject({ id: 6, reason: 0x80 });
    else await publisher.expectNothing();
    expect(await publisher.publish("t", "next", { qos: 2, id: 6 })).toMatchObject({ id: 6, reason: 0 });
    expect(await receiver.receive()).toMatchObject({ text: "next" });
    await receiver.expectNothing();
  });

  test("QoS 2 of a kept publisher: refused, never delivered, and the identifier can be used again", async () => {
    const receiver = await server.connect(version);
    await receiver.subscribe([{ filter: "t", qos: 2 }]);
    const options = keptSession();
    const publisher = await server.connect(version, options);
    held.hold();
    publisher.send(publisher.wire.publish("t", "lost", { qos: 2, id: 6 }));
    await failNext();
    if (v5) expect(await publisher.next("pubrec")).toMatchObject({ id: 6, reason: 0x80 });
    else await publisher.expectNothing();
    await receiver.expectNothing();
    expect(await publisher.publish("t", "next", { qos: 2, id: 6 })).toMatchObject({ id: 6, reason: 0 });
    expect(await receiver.receive()).toMatchObject({ text: "next" });
    await receiver.expectNothing();
  });

  test("“PUBREC received” is not safe: no PUBREL, the client goes on behind its next CONNECT", async () => {
    const [receiver, options] = await keeper("t");
    await server.broker.publish({ topic: "t", payload: "x", qos: 2 });
    const { id } = await receiver.next("publish");
    held.hold();
    receiver.send(receiver.wire.pubrec(id));
    await failNext();
    await receiver.expectEnd(0x80);
    const again = await server.connect(version, options);
    expect(await again.next("publish")).toMatchObject({ id, dup: true, text: "x" });
    again.send(again.wire.pubrec(id));
    await again.next("pubrel");
    again.send(again.wire.pubcomp(id));
    await again.expectNothing();
  });

  test("a PUBREL is not safe: no PUBCOMP, the client repeats it behind its next CONNECT", async () => {
    const options = keptSession();
    const publisher = await server.connect(version, options);
    publisher.send(publisher.wire.publish("t", "x", { qos: 2, id: 3 }));
    await publisher.next("pubrec");
    held.hold();
    publisher.send(publisher.wire.pubrel(3));
    await failNext();
    await publisher.expectEnd(0x80);
    const again = await server.connect(version, options);
    again.send(again.wire.pubrel(3));
    expect(await again.next("pubcomp")).toMatchObject({ id: 3, reason: 0 });
  });

  test("SUBSCRIBE: refused, and what was subscribed before stays as it was", async () => {
    const [client] = await keeper("old");
    held.hold();
    client.send(
      client.wire.subscribe(8, [
        { filter: "new", qos: 1 },
        { filter: "old", qos: 0 },
      ]),
    );
    await failNext();
    expect(await client.next("suback")).toMatchObject({ id: 8, reasons: [0x80, 0x80] });
    await server.broker.publish({ topic: "new", payload: "n", qos: 1 });
    await server.broker.publish({ topic: "old", payload: "o", qos: 1 });
    expect(await client.receive()).toMatchObject({ topic: "old", qos: 1 });
    await client.expectNothing();
    expect((await client.subscribe([{ filter: "new", qos: 1 }])).reasons).toEqual([1]);
  });

  test("UNSUBSCRIBE: the subscription stays; 5.0 is told, 3.x gets no answer", async () => {
    const [client] = await keeper("old");
    held.hold();
    client.send(client.wire.unsubscribe(8, ["old", "never"]));
    await failNext();
    if (v5) expect(await client.next("unsuback")).toMatchObject({ id: 8, reasons: [0x80, 0x80] });
    else await client.expectNothing();
    await server.broker.publish({ topic: "old", payload: "o", qos: 1 });
    expect(await client.receive()).toMatchObject({ topic: "old", qos: 1 });
    await client.unsubscribe("old");
    await server.broker.publish({ topic: "old", payload: "o", qos: 1 });
    await client.expectNothing();
  });
});

test("QoS 2 whose packet identifier is not safe: the client comes again, and gets it once", async () => {
  // Without an end: it is resumed at once.
  const options = { ...keptSession(), properties: { sessionExpiryInterval: 0xffffffff } };
  const first = await server.connect(5, options);
  await first.subscribe([{ filter: "t", qos: 2 }]);
  await first.disconnect();
  await server.broker.publish({ topic: "t", payload: "kept", qos: 2 });
  held.hold();
  const second = await server.open(5);
  second.send(second.wire.connect(options));
  await second.next("connack");
  await failNext();
  await second.expectEnd(0x80);
  const third = await server.connect(5, options);
  expect(await third.receive()).toMatchObject({ text: "kept", dup: false });
  await third.expectNothing();
});

test("a message that expires while its packet identifier becomes safe gives it back", async () => {
  const client = await server.connect(5, {
    ...keptSession(),
    properties: { sessionExpiryInterval: 1_000, receiveMaximum: 1 },
  });
  await client.subscribe([{ filter: "t", qos: 2 }]);
  held.hold();
  const properties = { messageExpiryInterval: 1 };
  void server.broker.publish({ topic: "t", payload: "expires", qos: 2, properties });
  await held.commits(1);
  await leap(1_100);
  held.release();
  await client.expectNothing();
  await server.broker.publish({ topic: "t", payload: "next", qos: 2 });
  expect(await client.receive()).toMatchObject({ text: "next" });
});

test("broker.publish() rejects", async () => {
  const client = await server.connect(5, keptSession());
  await client.subscribe([{ filter: "t", qos: 1 }]);
  held.hold();
  const published = server.broker.publish({ topic: "t", payload: "x", qos: 1 });
  await Promise.all([expect(published).rejects.toThrow(/store/), failNext()]);
});
