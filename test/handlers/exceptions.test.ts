// Something in the broker's own code throws, or the core traps outside of any client's input: one connection at most pays
// for it, and the others notice nothing.
import { afterEach, describe, expect, test, vi } from "vitest";
import { Outbox } from "../../src/connection/outbox.ts";
import { Border } from "../../src/core/border.ts";
import { Deliveries } from "../../src/routing/delivery/deliveries.ts";
import { QueuePump } from "../../src/routing/queues/queue-pump.ts";
import { Subscriptions } from "../../src/routing/sessions/subscriptions.ts";
import { useHeldServer } from "../store/held-store.ts";
import type { RawClient } from "../support/raw-client.ts";
import { BOTH, eventually, keptSession } from "../support/server.ts";
import type { Version } from "../support/wire.ts";
import { ACKNOWLEDGEMENTS, commitUnderWay } from "./commit-under-way.ts";

const { held, server } = useHeldServer();
afterEach(() => {
  vi.restoreAllMocks();
});

const defect = (): never => {
  throw new TypeError("a defect");
};

function figures(): { traps: number; internal: number } {
  const metrics = server.broker.metrics();
  return { traps: metrics["errors.trap"], internal: metrics["errors.internal"] };
}

async function ended(client: RawClient, version: Version): Promise<void> {
  if (version === 5) await client.expectEnd(0x80);
  else await client.closed();
}

/** The core of now does the work of `entry`, then traps before the host has seen anything of it. */
function trapBehind(entry: "releaseAcks" | "replay" | "route"): void {
  const original = Object.getOwnPropertyDescriptor(Border.prototype, entry)?.value as (
    ...args: unknown[]
  ) => number;
  vi.spyOn(Border.prototype, entry).mockImplementationOnce(function (this: Border, ...args: unknown[]) {
    original.apply(this, args);
    this.core.trap();
    return 0;
  } as never);
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("a handler that throws costs its client, and nobody else", async () => {
    const other = await server.connect(version);
    await other.subscribe("t");
    const client = await server.connect(version);
    vi.spyOn(Subscriptions.prototype, "add").mockImplementationOnce(defect);
    const { wire } = client;
    client.send(wire.publish("t", "in front"), wire.subscribe(1, "a"), wire.publish("t", "behind"));
    await ended(client, version);
    expect(await other.next("publish")).toMatchObject({ text: "in front" });
    await other.expectNothing();
    expect(figures()).toEqual({ traps: 0, internal: 1 });
    expect(await other.publish("t", "on", { qos: 1 })).toMatchObject({ reason: 0 });
    expect(await other.next("publish")).toMatchObject({ text: "on" });
  });

  test("one that throws while CONNECT is decided closes that connection", async () => {
    const other = await server.connect(version);
    const spy = vi.spyOn(Border.prototype, "openSlot").mockImplementationOnce(defect);
    const client = await server.open(version);
    client.send(client.wire.connect({ clientId: "c" }));
    expect(await client.closed()).toEqual([]);
    expect(spy).toHaveBeenCalled();
    expect(figures()).toEqual({ traps: 0, internal: 1 });
    await other.fence();
  });

  test("a record that cannot be acted on costs its receiver, not those behind it", async () => {
    const [first, second, third] = [
      await server.connect(version),
      await server.connect(version),
      await server.connect(version),
    ];
    for (const client of [first, second, third]) await client.subscribe("t");
    const publisher = await server.connect(version);
    const sessions = [first, second, third];
    vi.spyOn(Outbox.prototype, "range").mockImplementationOnce(defect);
    publisher.send(publisher.wire.publish("t", "x"));
    const outcomes = await Promise.all(
      sessions.map((client) =>
        Promise.race([
          client.next("publish").then(
            () => "has it",
            () => "closed",
          ),
          client.closed().then(() => "closed"),
        ]),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === "has it")).toHaveLength(2);
    expect(figures()).toEqual({ traps: 0, internal: 1 });
    await publisher.fence();
  });

  test("a pump that throws costs the receiver, not the client whose run wanted it", async () => {
    const options = keptSession();
    const receiver = await server.connect(version, options);
    await receiver.subscribe([{ filter: "t", qos: 1 }]);
    const publisher = await server.connect(version);
    await publisher.publish("t", "1", { qos: 1 });
    const message = await receiver.next("publish");
    const send = vi.spyOn(QueuePump.prototype, "send").mockImplementationOnce(defect);
    vi.spyOn(Deliveries.prototype, "acknowledged").mockImplementationOnce(function (
      this: Deliveries,
      slot: number,
    ) {
      this.pump.want(slot);
    });
    receiver.send(receiver.wire.puback(message.id));
    await ended(receiver, version);
    expect(send).toHaveBeenCalled();
    await publisher.publish("t", "2", { qos: 1 });
    const again = await server.connect(version, options);
    expect(await again.receive()).toMatchObject({ text: "1", dup: true });
    expect(await again.receive()).toMatchObject({ text: "2" });
    expect(figures()).toEqual({ traps: 0, internal: 1 });
  });

  test("QoS 1 to sessions that are not kept: ids of the call that trapped are free again", async () => {
    const properties = { receiveMaximum: 2 };
    const receiver = await server.connect(version, version === 5 ? { properties } : {});
    await receiver.subscribe([{ filter: "t", qos: 1 }]);
    const publisher = await server.connect(version);
    await publisher.publish("t", "seen", { qos: 1 });
    const seen = await receiver.next("publish");
    const offender = await server.connect(version);
    trapBehind("route");
    offender.send(offender.wire.publish("t", "lost", { qos: 1, id: 1 }));
    await offender.closed();
    expect(figures().traps).toBe(1);
    // One is in flight, one place is left: it goes round.
    for (const text of ["a", "b", "c"]) {
      await publisher.publish("t", text, { qos: 1 });
      const message = await receiver.next("publish");
      expect(message).toMatchObject({ text });
      receiver.send(receiver.wire.puback(message.id));
    }
    // What was in flight before the trap is in flight still: its id is not given again before it is acknowledged.
    await publisher.publish("t", "d", { qos: 1 });
    const last = await receiver.next("publish");
    expect(last.id).not.toBe(seen.id);
    receiver.send(receiver.wire.puback(seen.id), receiver.wire.puback(last.id));
    await receiver.fence();
  });

  test("a commit's acknowledgements are released by the next core, each once and in order", async () => {
    const { receiver, publisher, commit } = await commitUnderWay({ held, server }, version);
    trapBehind("releaseAcks");
    commit.succeed();
    await publisher.expectAcknowledgements(...ACKNOWLEDGEMENTS);
    expect(figures().traps).toBe(1);
    held.release();
    await publisher.expectNothing();
    expect(await receiver.next("publish")).toMatchObject({ text: "1" });
  });

  test("those of a commit that failed are refused by the next core", async () => {
    const receiver = await server.connect(version, keptSession());
    await receiver.subscribe([{ filter: "t", qos: 1 }]);
    const publisher = await server.connect(version);
    held.hold();
    publisher.send(publisher.wire.publish("t", "1", { qos: 1, id: 1 }));
    const commit = await held.commits(1);
    trapBehind("releaseAcks");
    commit.fail();
    held.release();
    if (version === 5) expect(await publisher.next("puback")).toMatchObject({ id: 1, reason: 0x80 });
    await eventually(() => figures().traps === 1, "it trapped");
    await publisher.expectNothing();
  });

  test("a trap while messages that waited go out leaves no id behind", async () => {
    const options = keptSession();
    const away = await server.connect(version, options);
    await away.subscribe([{ filter: "t", qos: 1 }]);
    await away.disconnect();
    for (const payload of ["1", "2", "3"]) await server.broker.publish({ topic: "t", payload, qos: 1 });
    trapBehind("replay");
    const limited = version === 5 ? { properties: { sessionExpiryInterval: 1_000, receiveMaximum: 1 } } : {};
    const back = await server.connect(version, { ...options, ...limited });
    for (const text of ["1", "2", "3"]) expect(await back.receive()).toMatchObject({ text });
    await back.expectNothing();
    expect(figures().traps).toBe(1);
  });

  test("a trap while slots are given back", async () => {
    const opened = vi.spyOn(Border.prototype, "openSlot");
    const other = await server.connect(version);
    await other.subscribe("t");
    const going = [await server.connect(version), await server.connect(version)];
    const border = opened.mock.contexts[0] as Border;
    const { core } = border;
    const closeSlot = vi.fn(() => core.trap());
    Object.defineProperty(border, "core", { value: { ...core, closeSlot } });
    for (const client of going) client.destroy();
    await eventually(() => figures().traps === 1, "it trapped");
    expect(closeSlot).toHaveBeenCalled();
    await other.publish("t", "on", { qos: 1 });
    expect(await other.next("publish")).toMatchObject({ text: "on" });
    for (let i = 0; i < 3; i++) await (await server.connect(version)).fence();
    expect(figures()).toEqual({ traps: 1, internal: 0 });
  });
});
