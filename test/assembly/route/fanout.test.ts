// Who gets a message, and in which form, against the plainest reading of the standard; with arenas that overflow.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as abi from "../../../src/core/generated/abi.ts";
import type { Publish } from "../../support/packet.ts";
import type { Version } from "../../support/wire.ts";
import { BUILDS, RouteCore, type Stored } from "./core.ts";

interface Client {
  version: Version;
  persistent: boolean;
  away: boolean;
  publisherQos: boolean;
  sendMax: number;
  aliases: number;
  filters: { filter: string; qos: 0 | 1 | 2; noLocal: boolean; asPublished: boolean; id: number }[];
}

const FILTERS = ["a", "a/b", "a/#", "+/b", "#", "+", "a/+/c", "$x/#"];
const TOPICS = ["a", "a/b", "b", "a/x/c", "c/b"];
const client: fc.Arbitrary<Client> = fc.record({
  version: fc.constantFrom<Version>(3, 4, 5),
  persistent: fc.boolean(),
  away: fc.boolean(),
  publisherQos: fc.boolean(),
  sendMax: fc.constantFrom(1, 3, 100),
  aliases: fc.constantFrom(0, 2),
  filters: fc.uniqueArray(
    fc.record({
      filter: fc.constantFrom(...FILTERS),
      qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
      noLocal: fc.boolean(),
      asPublished: fc.boolean(),
      id: fc.constantFrom(0, 1, 200, 268_435_455),
    }),
    { selector: (one) => one.filter, maxLength: 6 },
  ),
});
const message = fc.record({
  topic: fc.constantFrom(...TOPICS),
  qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
  retain: fc.boolean(),
});

function matches(filter: string, topic: string): boolean {
  const [f, t] = [filter.split("/"), topic.split("/")];
  for (let i = 0; ; i++) {
    if (f[i] === "#") return true;
    if (i === f.length || i === t.length)
      return i === f.length ? i === t.length : f[i] === "#" || (i === t.length && f[i] === "#");
    if (f[i] !== "+" && f[i] !== t[i]) return i === t.length && f[i] === "#";
  }
}

describe.each(BUILDS)("%s build", (build) => {
  test("everybody gets what the standard says, in the order it came", () => {
    fc.assert(
      fc.property(
        fc.array(client, { minLength: 1, maxLength: 6 }),
        fc.array(message, { minLength: 1, maxLength: 12 }),
        fc.constantFrom<Version>(4, 5),
        (clients, list, version) => {
          const core = new RouteCore(build);
          // The first client is the sender as well.
          const slots = clients.map((one, i) => {
            const flags =
              abi.SLOT_ALLOW_ALL |
              (one.persistent ? abi.SLOT_PERSISTENT : 0) |
              (one.publisherQos ? abi.SLOT_PUBLISHER_QOS : 0);
            const slot = core.open({
              version: i === 0 ? version : one.version,
              flags: i === 0 ? abi.SLOT_ALLOW_ALL : flags,
              sendMax: one.sendMax,
              aliasOutMax: one.version === 5 ? one.aliases : 0,
            });
            for (const f of one.filters) {
              const options =
                f.qos |
                (f.noLocal ? abi.OPT_NO_LOCAL : 0) |
                (f.asPublished ? abi.OPT_RETAIN_AS_PUBLISHED : 0);
              expect(core.subscribe(slot, f.filter, options, f.id)).toBe(0);
            }
            if (i > 0 && one.away) core.core.goOffline(slot);
            return slot;
          });
          const [from] = slots;
          core.route(
            from,
            ...list.map((one, i) =>
              core.wire(from).publish(one.topic, `${i}`, { qos: one.qos, retain: one.retain, id: i + 1 }),
            ),
          );
          const stored = core.takeStored();
          for (const [i, one] of clients.entries()) {
            const sender = i === 0;
            const v5 = (sender ? version : one.version) === 5;
            const wanted = list.flatMap((m, n) => {
              const hits = one.filters.filter((f) => matches(f.filter, m.topic) && !(sender && f.noLocal));
              if (hits.length === 0) return [];
              const granted = Math.max(...hits.map((f) => f.qos));
              const qos = one.publisherQos && !sender ? m.qos : Math.min(m.qos, granted);
              const online = sender || !one.away;
              if (qos === 0 ? !online : !online && !one.persistent) return [];
              return [
                {
                  text: `${n}`,
                  qos,
                  retain: m.retain && hits.some((f) => f.asPublished),
                  ids: hits
                    .map((f) => f.id)
                    .filter((id) => id !== 0)
                    .sort(),
                },
              ];
            });
            const own = stored.filter((s) => s.slot === slots[i]);
            // Not sent: kept for later. Sent and kept: the same message twice in our books, once for the client.
            const waiting = own.filter((s: Stored) => s.packetId === 0 || s.unsent);
            const sent = (core.take(slots[i]).filter((p) => p.type === "publish") as Publish[]).map((p) => ({
              text: p.text,
              qos: p.qos,
              retain: p.retain,
              ids: v5 ? [...(p.properties.subscriptionIdentifier ?? [])].sort() : undefined,
            }));
            const later = waiting.map((s) => ({
              text: s.payload,
              qos: s.qos,
              retain: s.retain,
              ids: [...s.ids].sort(),
            }));
            const all = [...sent, ...later.map((s) => ({ ...s, ids: v5 ? s.ids : undefined }))].sort(
              (x, y) => Number(x.text) - Number(y.text),
            );
            expect(all).toEqual(wanted.map((w) => ({ ...w, ids: v5 ? w.ids : undefined })));
            // In order for each of QoS 0 and the others.
            for (const group of [sent.filter((s) => s.qos === 0), sent.filter((s) => s.qos > 0), later]) {
              const numbers = group.map((s) => Number(s.text));
              expect(numbers).toEqual([...numbers].sort((x, y) => x - y));
            }
            const positions = own.map((s) => s.position);
            expect(positions).toEqual(positions.map((_, n) => n));
            if (one.persistent && !sender) expect(own).toHaveLength(wanted.filter((w) => w.qos > 0).length);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test("one message, receivers of every kind, more than the gather arena at once", () => {
    const core = new RouteCore(build);
    const slots = Array.from({ length: 60 }, (_, i) => {
      const version = ([3, 4, 5] as const)[i % 3];
      const slot = core.open({ version, aliasOutMax: i % 5 === 0 && version === 5 ? 3 : 0 });
      core.subscribe(slot, "wide/topic", i % 3 === 0 ? 0 : 1, i % 4 === 0 ? i + 1 : 0);
      return slot;
    });
    const from = core.open({ version: 5 });
    for (let n = 1; n <= 3; n++) {
      core.route(from, core.wire(from).publish("wide/topic", Buffer.alloc(60_000, n), { qos: 1, id: n }));
      for (const [i, slot] of slots.entries()) {
        const [one, ...more] = core.take(slot) as Publish[];
        expect(more).toEqual([]);
        expect(one.payload.equals(Buffer.alloc(60_000, n))).toBe(true);
        const id = one.properties?.subscriptionIdentifier;
        expect(id).toEqual(i % 4 === 0 && i % 3 === 2 ? [i + 1] : undefined);
      }
    }
    expect(core.stops).toBeGreaterThan(3);
  });

  test("a payload the host holds: every receiver gets its own head", () => {
    const core = new RouteCore(build);
    const slots = Array.from({ length: 50 }, (_, i) => {
      const slot = core.open({ version: i % 2 === 0 ? 4 : 5 });
      core.subscribe(slot, "big", (i % 3) as 0 | 1 | 2, i % 5 === 0 ? i + 1 : 0);
      return slot;
    });
    const from = core.open({ version: 5 });
    const packet = core.wire(from).publish("big", Buffer.alloc(500_000, 5), {
      qos: 2,
      id: 7,
      properties: { userProperty: [["k", "v".repeat(40_000)]] },
    });
    expect(core.routeLarge(from, packet, abi.INPUT_SIZE)).toBe(abi.STOP_DONE);
    for (const [i, slot] of slots.entries()) {
      const [one, ...more] = core.take(slot) as Publish[];
      expect(more).toEqual([]);
      expect(one.qos).toBe(i % 3);
      expect(one.payload.equals(Buffer.alloc(500_000, 5))).toBe(true);
      if (i % 2 === 1) expect(one.properties.userProperty?.[0][1]).toHaveLength(40_000);
    }
  });

  test("no identifier of overlapping subscriptions is left out, however many there are", () => {
    const core = new RouteCore(build);
    const levels = 16;
    const topic = Array.from({ length: levels }, () => "l").join("/");
    const publisher = core.open();
    // All filters of the topic's levels with "l" or "+" in each place, shared out to two receivers.
    const receivers = [core.open({ version: 5 }), core.open({ version: 5 })];
    const expected: number[][] = [[], []];
    for (let mask = 0; mask < 2 ** levels; mask++) {
      const filter = Array.from({ length: levels }, (_, i) => ((mask >> i) & 1 ? "+" : "l")).join("/");
      core.subscribe(receivers[mask & 1], filter, 0, mask + 1);
      core.subscribe(receivers[mask & 1], `${filter}/#`, 0, mask + 100_001);
      expected[mask & 1].push(mask + 1, mask + 100_001);
    }
    expect(core.route(publisher, core.wire(publisher).publish(topic, "x"))).toBe(abi.STOP_DONE);
    for (const [i, receiver] of receivers.entries()) {
      const [message] = core.take(receiver) as Publish[];
      const ids = [...(message.properties.subscriptionIdentifier ?? [])].sort((a, b) => a - b);
      expect(ids.join()).toBe(expected[i].sort((a, b) => a - b).join());
    }
  });
});
