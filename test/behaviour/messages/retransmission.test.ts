// What a resumed session gets again: unacknowledged PUBLISH with DUP and PUBREL, in their original order
// [MQTT-4.4.0-1] [MQTT-4.6.0-1].
import { describe, expect, test } from "vitest";
import { ALL, BOTH, unique, keptSession, useServer } from "../../support/server.ts";
import type { Publish } from "../../support/packet.ts";
import { timePasses } from "../../support/time.ts";

const server = useServer();

describe.each(ALL)("MQTT %s", (_name, version) => {
  test("QoS 1 and 2 without acknowledgement come again with DUP and the same identifiers, new ones behind them", async () => {
    const topic = unique("again");
    const options = keptSession();
    const first = await server.connect(version, options);
    await first.subscribe([{ filter: topic, qos: 2 }]);
    const publisher = await server.connect(version);
    for (let index = 0; index < 8; index++)
      await publisher.publish(topic, `${index}`, { qos: index % 2 === 0 ? 1 : 2 });
    const sent: Publish[] = [];
    for (let index = 0; index < 8; index++) sent.push(await first.next("publish"));
    expect(sent.every((message) => !message.dup)).toBe(true);
    // One in the middle is acknowledged.
    first.send(first.wire.puback(sent[4].id));
    await first.expectNothing();
    first.destroy();
    await publisher.publish(topic, "while away", { qos: 1 });
    const second = await server.connect(version, options);
    const again: Publish[] = [];
    for (let index = 0; index < 7; index++) again.push(await second.next("publish"));
    const expected = sent.filter((message) => message.id !== sent[4].id);
    expect(again.map(({ text, id, qos, dup }) => ({ text, id, qos, dup }))).toEqual(
      expected.map(({ text, id, qos }) => ({ text, id, qos, dup: true })),
    );
    expect(await second.next("publish")).toMatchObject({ text: "while away", dup: false });
    await second.expectNothing();
  });

  test("PUBREL comes again for a message whose PUBREC has been received, not its PUBLISH [MQTT-4.3.3-5]", async () => {
    const topic = unique("again");
    const options = keptSession();
    const first = await server.connect(version, options);
    await first.subscribe([{ filter: topic, qos: 2 }]);
    const publisher = await server.connect(version);
    for (const text of ["a", "b", "c"]) await publisher.publish(topic, text, { qos: 2 });
    const [a, b, c] = [await first.next("publish"), await first.next("publish"), await first.next("publish")];
    first.send(first.wire.pubrec(a.id), first.wire.pubrec(b.id));
    expect(await first.next("pubrel")).toMatchObject({ id: a.id });
    expect(await first.next("pubrel")).toMatchObject({ id: b.id });
    first.destroy();
    for (let turn = 0; turn < 2; turn++) {
      const again = await server.connect(version, options);
      const packets = await again.fence();
      // PUBRELs in the order of their PUBRECs, the message in its own place among messages.
      const short = packets.map((packet) => [packet.type, "id" in packet ? packet.id : 0]);
      expect(short.filter(([type]) => type === "pubrel")).toEqual([
        ["pubrel", a.id],
        ["pubrel", b.id],
      ]);
      expect(short.filter(([type]) => type === "publish")).toEqual([["publish", c.id]]);
      again.destroy();
    }
    const last = await server.connect(version, options);
    await last.fence();
    last.send(last.wire.pubcomp(a.id), last.wire.pubcomp(b.id), last.wire.pubrec(c.id));
    expect(await last.next("pubrel")).toMatchObject({ id: c.id });
    last.send(last.wire.pubcomp(c.id));
    await last.expectNothing();
    last.destroy();
    const clean = await server.connect(version, options);
    await clean.expectNothing();
  });

  test("nothing is sent again on the same connection", async () => {
    const topic = unique("again");
    const client = await server.connect(version);
    await client.subscribe([{ filter: topic, qos: 2 }]);
    const publisher = await server.connect(version);
    await publisher.publish(topic, "x", { qos: 1 });
    await publisher.publish(topic, "y", { qos: 2 });
    expect(await client.fence()).toHaveLength(2);
    // A timer that sends again would have to run out meanwhile: there is none.
    await timePasses(300);
    await client.expectNothing();
  });

  test("a clean session gets nothing again", async () => {
    const topic = unique("again");
    const clientId = unique();
    const first = await server.connect(version, { clientId });
    await first.subscribe([{ filter: topic, qos: 1 }]);
    await first.publish(topic, "x", { qos: 1 });
    await first.next("publish");
    first.destroy();
    const second = await server.connect(version, { clientId });
    await second.expectNothing();
  });
});

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("a hundred reconnects in the middle of a stream lose nothing and keep the order", async () => {
    const topic = unique("stream");
    const options = keptSession();
    let client = await server.connect(version, options);
    await client.subscribe([{ filter: topic, qos: 1 }]);
    const publisher = await server.connect(version);
    const seen: number[] = [];
    let next = 0;
    for (let turn = 0; turn < 100; turn++) {
      for (let index = 0; index < 5; index++)
        publisher.send(publisher.wire.publish(topic, `${next++}`, { qos: 1, id: 1 + (next % 60_000) }));
      const message = await client.next("publish");
      seen.push(Number(message.text));
      if (turn % 3 === 0) client.send(client.wire.puback(message.id));
      client.destroy();
      client = await server.connect(version, options);
    }
    await publisher.fence();
    while (!seen.includes(next - 1)) seen.push(Number((await client.receive()).text));
    await client.expectNothing();
    const firsts = [...new Set(seen)];
    expect(firsts).toEqual(Array.from({ length: next }, (_, index) => index));
  }, 30_000);
});
