// Subscriptions come and go while messages flow: who stays loses nothing, who left hears nothing, and the core keeps
// nothing of it.
import { expect } from "vitest";
import type { Publish } from "../support/packet.ts";
import type { RawClient } from "../support/raw-client.ts";
import { eventually, ours, useServer } from "../support/server.ts";
import type { Filter, Version } from "../support/wire.ts";

const STABLE = 10;
const CHURNERS = 50;
const ROUNDS = 20;
const TOPICS = 8;

const server = useServer({ sysInterval: 0 });
const filters = (): number => server.broker.metrics()["core.filters"];

/** Everything a stable subscriber gets, up to the message that ends the flow. */
async function receiveFlow(client: RawClient): Promise<number[]> {
  const numbers: number[] = [];
  for (;;) {
    const { topic, text } = await client.receive();
    if (topic === "flow/end") return numbers;
    numbers.push(Number(text));
  }
}

/** Acknowledges what comes until a packet of this type does; returns how many messages came. */
async function readUntil(client: RawClient, type: "suback" | "unsuback"): Promise<number> {
  for (let messages = 0; ; messages++) {
    const packet = await client.take(() => true, type);
    if (packet.type === type) return messages;
    if (packet.type !== "publish") throw new Error(`unexpected ${packet.type}`);
    await client.acknowledge(packet satisfies Publish);
  }
}

/** Overlapping filters, shared ones, some that nobody else has, and some that match nothing. */
function filtersOf(churner: number, round: number): Filter[] {
  const qos = ((churner + round) % 2) as 0 | 1;
  return [
    { filter: "flow/+", qos },
    { filter: `flow/${(churner + round) % TOPICS}`, qos },
    { filter: `$share/churn/flow/${churner % TOPICS}`, qos },
    { filter: `own/${churner}/${round}/#`, qos },
  ];
}

/** One round after the other; returns how many messages came in all. */
async function churn(churner: number, version: Version, onMiddle: () => void): Promise<number> {
  const client = await server.connect(version);
  let messages = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const wanted = filtersOf(churner, round);
    client.send(client.wire.subscribe(client.id(), wanted));
    messages += await readUntil(client, "suback");
    onMiddle();
    client.send(
      client.wire.unsubscribe(
        client.id(),
        wanted.map(({ filter }) => filter),
      ),
    );
    messages += await readUntil(client, "unsuback");
    // The flow goes on: whatever is still sent to this client comes before the answer to its PINGREQ.
    await client.expectNothing();
  }
  await client.disconnect();
  return messages;
}

ours("churn of subscriptions disturbs nobody and leaves nothing behind", async () => {
  const empty = filters();
  const stable = await Promise.all(
    Array.from({ length: STABLE }, async (_, i) => {
      const client = await server.connect(i % 2 === 0 ? 5 : 4);
      await client.subscribe({ filter: i < STABLE / 2 ? "flow/#" : "flow/+", qos: 1 });
      return client;
    }),
  );
  const start = filters();
  expect(start).toBeGreaterThan(empty);
  const received = stable.map(receiveFlow);

  let over = false;
  let sent = 0;
  let most = 0;
  const publisher = await server.connect(5);
  const flow = (async () => {
    for (; !over; sent++) await publisher.publish(`flow/${sent % TOPICS}`, String(sent), { qos: 1 });
    await publisher.publish("flow/end", "", { qos: 1 });
  })();
  const churned = Promise.all(
    Array.from({ length: CHURNERS }, (_, i) =>
      churn(i, i % 2 === 0 ? 5 : 4, () => {
        most = Math.max(most, filters());
      }),
    ),
  ).finally(() => {
    over = true;
  });
  const [messages] = await Promise.all([churned, flow]);

  // There was something to lose and something to leave behind.
  expect(messages.reduce((sum, count) => sum + count)).toBeGreaterThan(CHURNERS);
  expect(sent).toBeGreaterThan(ROUNDS);
  expect(most).toBeGreaterThan(start);
  const expected = Array.from({ length: sent }, (_, number) => number);
  for (const numbers of received) expect(await numbers).toEqual(expected);
  await eventually(() => filters() === start, "the filters of the churn are gone");
  for (const client of stable) await client.disconnect();
  await eventually(() => filters() === empty, "all filters are gone");
});
