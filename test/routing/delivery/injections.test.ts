// Messages of the server itself, Wills, and QoS 2 that waited for its commit go to many receivers in slices: others are
// served between them, each receiver has each message once, in order.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Border } from "../../../src/core/border.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { BOTH, eventually, TestServer, unique } from "../../support/server.ts";
import { connectInMemory, dropMemoryClients } from "../memory-client.ts";
import { Sink } from "../sink.ts";

const RECEIVERS = 5_000;
let server: TestServer;
let sinks: Sink[];
/** What happened, in its order: slices, and what a test adds. */
let events: string[];

beforeEach(async () => {
  server = new TestServer({ sysInterval: 0 });
  await server.start();
  sinks = [];
  seen.clear();
  events = [];
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const sink of sinks) sink.destroy();
  dropMemoryClients();
  await server.stop();
});

async function subscribeMany(filter: string, qos: 0 | 1 | 2 = 0, count = RECEIVERS): Promise<void> {
  for (let i = 0; i < count; i++)
    sinks.push(new Sink(server.broker, 4, { clientId: `sink-${i}` }, [{ filter, qos }]));
  await eventually(() => sinks.every((sink) => sink.received === 9), "all have CONNACK and SUBACK");
}

/** Notes each slice, and runs `during` behind the first one. */
function watchSlices(during?: () => void): void {
  const original = Border.prototype.injectSlice;
  vi.spyOn(Border.prototype, "injectSlice").mockImplementation(function (this: Border, ...args) {
    const stop = original.apply(this, args);
    events.push("slice");
    if (events.filter((event) => event === "slice").length === 1 && during !== undefined)
      setImmediate(during);
    return stop;
  });
}

const slices = (): number => events.filter((event) => event === "slice").length;

const seen = new Map<Sink, string[]>();

/** What a sink has been sent so far. */
function texts(sink: Sink): string[] {
  const known = seen.get(sink) ?? [];
  for (const packet of sink.packets()) if (packet.type === "publish") known.push(packet.text);
  seen.set(sink, known);
  return known;
}

async function note(client: RawClient, type: "pingresp" | "puback"): Promise<void> {
  await client.of(type);
  events.push(type);
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("while the server publishes to many, another client's PINGREQ and PUBLISH are answered", async () => {
    await subscribeMany("wide");
    const other = await connectInMemory(server.broker, version);
    await other.subscribe("mine");
    let answered: Promise<unknown> = Promise.resolve();
    watchSlices(() => {
      const { wire } = other;
      answered = Promise.all([note(other, "pingresp"), note(other, "puback"), other.of("publish")]);
      other.send(wire.pingreq(), wire.publish("mine", "m", { qos: 1, id: 1 }));
    });
    await server.broker.publish({ topic: "wide", payload: "x" });
    expect(slices()).toBeGreaterThan(3);
    await answered;
    expect(events.indexOf("pingresp")).toBeGreaterThan(0);
    expect(events.indexOf("pingresp")).toBeLessThan(events.lastIndexOf("slice"));
    expect(events.indexOf("puback")).toBeLessThan(events.lastIndexOf("slice"));
    for (const sink of sinks) expect(texts(sink)).toEqual(["x"]);
  });

  test("a Will to many: others are answered meanwhile", async () => {
    await subscribeMany("wide");
    const clientId = unique("dying");
    const dying = await connectInMemory(server.broker, version, {
      clientId,
      will: { topic: "wide", payload: "w" },
    });
    const other = await connectInMemory(server.broker, version);
    watchSlices(() => {
      other.send(other.wire.pingreq());
      void note(other, "pingresp");
    });
    dying.stream.end();
    await eventually(() => sinks.every((sink) => texts(sink).length === 1), "all have the Will");
    expect(events.indexOf("pingresp")).toBeGreaterThan(0);
    expect(events.indexOf("pingresp")).toBeLessThan(events.lastIndexOf("slice"));
  });

  test("QoS 2 of a kept session to many, once each and in order", async () => {
    await subscribeMany("wide", 2);
    const publisher = await connectInMemory(server.broker, version, {
      clean: false,
      ...(version === 5 ? { properties: { sessionExpiryInterval: 100 } } : {}),
    });
    watchSlices();
    for (const text of ["1", "2", "3"]) await publisher.publish("wide", text, { qos: 2 });
    await eventually(() => sinks.every((sink) => texts(sink).length === 3), "all have all");
    for (const sink of sinks) expect(texts(sink)).toEqual(["1", "2", "3"]);
    expect(slices()).toBeGreaterThan(9);
  });
});

test("messages keep their order, and a promise resolves when its message is on its way to all", async () => {
  await subscribeMany("wide", 1);
  watchSlices();
  const resolved: number[] = [];
  await Promise.all(
    [1, 2, 3].map((n) =>
      server.broker.publish({ topic: "wide", payload: `${n}`, qos: n === 2 ? 0 : 1 }).then(async () => {
        resolved.push(n);
        const done = slices();
        // What is on its way leaves at the end of this turn at the latest, whatever is begun behind it.
        await new Promise((resolve) => setImmediate(resolve));
        expect(slices()).toBeLessThanOrEqual(done + 1);
        expect(sinks.every((sink) => texts(sink).length >= n)).toBe(true);
      }),
    ),
  );
  expect(resolved).toEqual([1, 2, 3]);
  for (const sink of sinks) expect(texts(sink)).toEqual(["1", "2", "3"]);
});

test("sessions that come, go and unsubscribe between slices; members of a shared group", async () => {
  await subscribeMany("wide", 0, 3_000);
  const members = [await connectInMemory(server.broker, 5), await connectInMemory(server.broker, 5)];
  for (const member of members) await member.subscribe("$share/g/wide");
  const late = await connectInMemory(server.broker, 5);
  watchSlices(() => {
    for (const sink of sinks.slice(0, 100)) sink.destroy();
    late.send(late.wire.subscribe(1, "wide"));
  });
  await server.broker.publish({ topic: "wide", payload: "x" });
  expect(slices()).toBeGreaterThan(2);
  for (const sink of sinks.slice(100)) expect(texts(sink)).toEqual(["x"]);
  const shared = [...(await members[0].fence()), ...(await members[1].fence())];
  expect(shared).toHaveLength(1);
  const got = (await late.fence()).filter((packet) => packet.type === "publish");
  expect(got.length).toBeLessThanOrEqual(1);
});

test("the end of the broker waits for what is under way", async () => {
  await subscribeMany("wide");
  const published = server.broker.publish({ topic: "wide", payload: "x" });
  const closed = server.broker.close({ drainMs: 0 });
  await published;
  await closed;
  for (const sink of sinks) expect(texts(sink)).toEqual(["x"]);
});

test("a trap in the middle costs the rest of that message, not the next one", async () => {
  await subscribeMany("wide");
  let entered = 0;
  const original = Border.prototype.injectSlice;
  vi.spyOn(Border.prototype, "injectSlice").mockImplementation(function (this: Border, ...args) {
    if (++entered === 2) this.core.trap();
    return original.apply(this, args);
  });
  const first = server.broker.publish({ topic: "wide", payload: "1" });
  const second = server.broker.publish({ topic: "wide", payload: "2" });
  await expect(first).rejects.toThrow();
  await second;
  for (const sink of sinks) expect(texts(sink).at(-1)).toBe("2");
  expect(server.broker.metrics()["errors.trap"]).toBe(1);
});
