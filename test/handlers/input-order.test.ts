// Input that waited and is longer than a run goes on where it was split: what came after it, and waits as well, stays behind.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Policy } from "../../src/access/policy.ts";
import { connectInMemory, dropMemoryClients } from "../routing/memory-client.ts";
import { openPolicy } from "../support/policy.ts";
import type { RawClient } from "../support/raw-client.ts";
import { BOTH, eventually, TestServer } from "../support/server.ts";
import type { Wire } from "../support/wire.ts";
import { trapNext } from "./trap.ts";

let server: TestServer;
let publisher: RawClient;
/** How to answer what is being served, in order. */
let answers: ((reason: number) => void)[];

const policy: Policy = openPolicy({
  capabilities: { dedupeQos1: true, discardOversize3: true },
  override: {
    authorizePublish: (_identity, topic) => ({ allow: true, host: topic === "host" }),
    serve: () => new Promise((resolve) => answers.push(resolve)),
  },
});

beforeEach(() => start(400_000));

async function start(maxPacketSize: number): Promise<void> {
  answers = [];
  server = new TestServer({
    profile: policy,
    sysInterval: 0,
    limits: { heldBytes: 8_000_000, maxPacketSize, outgoingBytes: 100_000_000 },
  });
  await server.start();
  for (let i = 0; i < 60; i++) {
    const client = await connectInMemory(server.broker, 4);
    await client.subscribe([{ filter: "wide", qos: 1 }]);
  }
  publisher = await connectInMemory(server.broker, 5);
}

async function stop(): Promise<void> {
  vi.restoreAllMocks();
  dropMemoryClients();
  await server.stop();
}
afterEach(stop);

const bytesReceived = (): number => server.broker.metrics()["bytes.received"];

/** A fan-out of more than the arenas hold, each stop of which is over its time: the core is busy until the next turn. */
function interrupt(): void {
  let clock = 0;
  vi.spyOn(performance, "now").mockImplementation(() => {
    clock += 100;
    return clock;
  });
  publisher.send(publisher.wire.publish("wide", Buffer.alloc(60_000), { qos: 1, id: 1 }));
}

/** `waiting` comes behind a message that is being served; its answer and then `late` come while the core is busy. */
async function behindAnswer(
  client: RawClient,
  waiting: readonly Buffer[],
  late: readonly Buffer[],
  meanwhile = (): void => {},
): Promise<void> {
  client.send(client.wire.publish("host", "", { qos: 1, id: 60_000 }));
  await eventually(() => answers.length === 1, "the message is being served");
  const expected = bytesReceived() + waiting.reduce((sum, { length }) => sum + length, 0);
  client.send(...waiting);
  await eventually(() => bytesReceived() === expected, "all that waits has been read");
  interrupt();
  meanwhile();
  answers[0](0);
  await new Promise<void>((resolve) => process.nextTick(resolve));
  client.send(...late);
}

const numbered = (wire: Wire, from: number, to: number, size: number): Buffer[] =>
  Array.from({ length: to - from }, (_, i) =>
    wire.publish("in", `${from + i}`.padEnd(size), { qos: 1, id: from + i + 1 }),
  );

describe.each(BOTH)("MQTT %s", (_name, version) => {
  async function expectInOrder(
    count: number,
    send: (client: RawClient) => Promise<void>,
    sizes: Record<number, number> = {},
  ): Promise<void> {
    const watcher = await connectInMemory(server.broker, version);
    await watcher.subscribe([{ filter: "in", qos: 0 }]);
    const client = await connectInMemory(server.broker, version);
    await send(client);
    const texts: string[] = [];
    for (let i = 0; i < count; i++) {
      const { text } = await watcher.receive();
      texts.push(text.trim());
      if (sizes[i] !== undefined) expect(text.length).toBe(sizes[i]);
    }
    expect(texts).toEqual(texts.map((_, i) => `${i}`));
    await client.of("puback", 60_000);
    for (let id = 1; id <= count; id++) expect(await client.next("puback")).toMatchObject({ id });
    expect(server.broker.metrics()["errors.trap"]).toBe(0);
  }

  test.each([1, 7])("%i × 300,000 bytes", (runs) =>
    expectInOrder(300 * runs + 10, (client) =>
      behindAnswer(
        client,
        numbered(client.wire, 0, 300 * runs, 1_000),
        numbered(client.wire, 300 * runs, 300 * runs + 10, 10),
      ),
    ),
  );

  test("split within a large packet, with more behind that", () =>
    expectInOrder(
      31,
      (client) =>
        behindAnswer(
          client,
          [
            ...numbered(client.wire, 0, 10, 100),
            ...numbered(client.wire, 10, 11, 300_000),
            ...numbered(client.wire, 11, 21, 100),
          ],
          numbered(client.wire, 21, 31, 10),
        ),
      { 10: 300_000 },
    ));

  test("the core traps in the first part: its client is closed, what it has sent is not taken any more", async () => {
    const watcher = await connectInMemory(server.broker, version);
    await watcher.subscribe([{ filter: "in", qos: 0 }]);
    // A pair of streams in memory does not tell one end that the other was destroyed.
    const client = await server.connect(version);
    const { wire } = client;
    await behindAnswer(client, numbered(wire, 0, 300, 1_000), numbered(wire, 300, 310, 10), () =>
      trapNext("route"),
    );
    await client.closed();
    await watcher.fence();
    await watcher.expectNothing();
    expect(server.broker.metrics()["errors.trap"]).toBe(1);
    publisher.send(publisher.wire.publish("in", "after"));
    expect((await watcher.receive()).text).toBe("after");
  });
});

test.each([
  ["whose end is in a later part", 400_000, 500_000],
  ["with others behind it in the same part", 65_000, 70_000],
])("MQTT 3.1.1: a packet that is passed over for its size, %s", async (_where, limit, size) => {
  await stop();
  await start(limit);
  const watcher = await connectInMemory(server.broker, 4);
  await watcher.subscribe([{ filter: "in", qos: 0 }]);
  const client = await connectInMemory(server.broker, 4);
  const { wire } = client;
  const tooLarge = wire.publish("in", Buffer.alloc(size), { qos: 1, id: 999 });
  await behindAnswer(
    client,
    [...numbered(wire, 0, 3, 10), tooLarge, ...numbered(wire, 3, 303, 1_000)],
    numbered(wire, 303, 306, 10),
  );
  const texts: string[] = [];
  for (let i = 0; i < 306; i++) texts.push((await watcher.receive()).text.trim());
  expect(texts).toEqual(texts.map((_, i) => `${i}`));
});
