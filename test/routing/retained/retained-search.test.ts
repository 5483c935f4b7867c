// Retained messages are bounded by what they cost, and a filter that matches nothing must not hold up everybody else.
import { expect, test } from "vitest";
import { canonicalMessage } from "../../../src/routing/messages/message.ts";
import { RetainedMessages } from "../../../src/routing/retained/retained.ts";
import { eventually, useServer } from "../../support/server.ts";

const payload = Buffer.of(1);
const messageOn = (topic: string): Buffer =>
  canonicalMessage({ topic, payload, qos: 0, retain: true }, 0, 1_000);

test("a search that finds nothing can be interrupted", () => {
  const retained = new RetainedMessages(10_000, 10_000_000);
  for (let i = 0; i < 5_000; i++) retained.set(`a/${i}/b`, messageOn(`a/${i}/b`));
  for (const filter of ["+/+/c", "a/+/c", "a/+/b/c/#"]) {
    const steps = [...retained.match(filter, 1_000)];
    expect(steps.every((step) => step === undefined)).toBe(true);
    expect(steps.length).toBeGreaterThan(10);
  }
  expect([...retained.match("a/+/b", 1_000)].filter((view) => view !== undefined)).toHaveLength(5_000);
});

test("levels count, for each is a node of its own", () => {
  const retained = new RetainedMessages(10, 1_000_000);
  const deep = Array.from({ length: 100 }, () => "x").join("/");
  retained.set(deep, messageOn(deep));
  expect(retained.bytes).toBeGreaterThan(5_000);
  retained.set(`${deep}/y`, messageOn(`${deep}/y`));
  expect(retained.delete(deep)).toBe(true);
  expect(retained.delete(`${deep}/y`)).toBe(true);
  expect(retained.bytes).toBe(0);
  retained.set("a", messageOn("a"));
  const tight = new RetainedMessages(10, retained.bytes);
  expect(tight.set("a", messageOn("a"))).toBe(true);
  expect(tight.set("a", messageOn("a"))).toBe(true);
  expect(tight.set("b", messageOn("b"))).toBe(false);
});

const server = useServer({ sysInterval: 0 });

test("many filters over many topics leave other clients their turns, and find what there is", async () => {
  for (let i = 0; i < 3_000; i++)
    await server.broker.publish({ topic: `many/${i}/b`, payload: `${i}`, retain: true });
  const client = await server.connect(5);
  let turns = 0;
  let counting = true;
  const count = (): void => {
    turns++;
    if (counting) setImmediate(count);
  };
  setImmediate(count);
  const filters = Array.from({ length: 400 }, (_, i) => `+/+/none${i}`);
  client.send(client.wire.subscribe(7, [...filters, "many/2999/b"]));
  expect(await client.next("suback")).toMatchObject({ id: 7 });
  const before = turns;
  expect(await client.next("publish")).toMatchObject({ topic: "many/2999/b", retain: true });
  counting = false;
  expect(turns - before).toBeGreaterThan(20);
});

test("a filter subscribed anew is replayed anew, one taken away is not replayed any more", async () => {
  const publisher = await server.connect(5);
  for (let i = 0; i < 2_000; i++)
    publisher.send(publisher.wire.publish(`anew/${i}`, `${i}`, { retain: true }));
  await publisher.fence();
  const client = await server.connect(5);
  client.send(
    client.wire.subscribe(1, "anew/#"),
    client.wire.subscribe(2, "anew/#"),
    client.wire.subscribe(3, "anew/+"),
    client.wire.unsubscribe(4, "anew/+"),
  );
  let count = 0;
  await eventually(async () => {
    count += (await client.fence()).filter((packet) => packet.type === "publish").length;
    return count >= 2_000;
  }, "all retained messages have come");
  expect(count).toBeLessThan(4_000);
});
