// Queued, retained and repeated messages, handed in as entries: sent as they say, until the receiver can take no more.
import { describe, expect, test } from "vitest";
import * as abi from "../../../src/core/generated/abi.ts";
import type { Publish } from "../../support/packet.ts";
import { BUILDS, type Entry, RouteCore } from "./core.ts";

const NO_POSITION = 0xffffffff;

describe.each(BUILDS)("%s build", (build) => {
  const sent = (core: RouteCore): [number, number][] =>
    core
      .takeRecords()
      .flatMap(([kind, , position, id]): [number, number][] => (kind === abi.R_SENT ? [[position, id]] : []));

  test.each([3, 4, 5] as const)(
    "level %i: QoS, RETAIN, DUP and identifiers as the entries say",
    (version) => {
      const core = new RouteCore(build);
      const slot = core.open({ version });
      const entries: Entry[] = [
        { qos: 0, position: NO_POSITION, flags: abi.E_RETAIN, topic: "r", payload: "0" },
        { qos: 1, position: 10, topic: "a", payload: "1" },
        { qos: 2, position: 11, packetId: 900, flags: abi.E_DUP, topic: "b", payload: "2", ids: [5, 70_000] },
        { qos: 2, position: 12, packetId: 901, flags: abi.E_PUBREL },
        { qos: 1, position: 13, topic: "c", payload: "3" },
      ];
      expect(core.replay(slot, entries)).toBe(abi.STOP_DONE);
      const packets = core.take(slot);
      expect(packets).toMatchObject([
        { type: "publish", topic: "r", qos: 0, retain: true, dup: false },
        { type: "publish", topic: "a", qos: 1, retain: false, dup: false, id: 1 },
        { type: "publish", topic: "b", qos: 2, dup: true, id: 900 },
        { type: "pubrel", id: 901 },
        { type: "publish", topic: "c", qos: 1, id: 2 },
      ]);
      const ids = packets[2].properties?.subscriptionIdentifier;
      expect(ids).toEqual(version === 5 ? [5, 70_000] : undefined);
      expect(sent(core)).toEqual([
        [10, 1],
        [11, 900],
        [12, 901],
        [13, 2],
      ]);
      expect(core.core.inflightOf(slot)).toBe(4);
      core.route(slot, core.wire(slot).pubcomp(901), core.wire(slot).puback(1));
      expect(
        core
          .takeRecords()
          .filter(([kind]) => kind === abi.R_ACKED)
          .map(([, , position]) => position),
      ).toEqual([12, 10]);
    },
  );

  test("stops at a full window and at the end of the credit, and says how far it came", () => {
    const core = new RouteCore(build);
    const slot = core.open({ sendMax: 3 });
    const entry = (position: number): Entry => ({ position, payload: "x".repeat(100) });
    core.replay(slot, [1, 2, 3, 4, 5].map(entry));
    expect(core.take(slot)).toHaveLength(3);
    // 32 bytes of head, 104 of body: already a multiple of 8.
    expect(core.consumed).toBe(3 * 136);
    core.route(slot, core.wire(slot).puback(1));
    core.core.setCredit(slot, 0);
    core.replay(slot, [4, 5].map(entry));
    expect([core.take(slot).length, core.consumed]).toEqual([0, 0]);
    core.core.setCredit(slot, 1);
    core.replay(slot, [4, 5].map(entry));
    expect(core.take(slot)).toHaveLength(1);
    core.core.goOffline(slot);
    core.replay(slot, [5].map(entry));
    expect(core.consumed).toBe(0);
  });

  test("what is too large for its receiver counts as done", () => {
    const core = new RouteCore(build);
    const slot = core.open({ version: 5, maxPacket: 100 });
    core.replay(slot, [
      { position: 1, payload: "x".repeat(200) },
      { position: 2, payload: "fits" },
    ]);
    expect(core.takeRecords()).toEqual([
      [abi.R_ACKED, slot, 1, 0],
      [abi.R_SENT, slot, 2, 1],
    ]);
    expect((core.take(slot) as Publish[]).map((message) => message.text)).toEqual(["fits"]);
    expect(core.word(abi.H_TOO_LARGE)).toBe(1);
  });

  test("a payload the host holds, and aliases, and the expiry that is left", () => {
    const core = new RouteCore(build);
    const slot = core.open({ version: 5, aliasOutMax: 5 });
    core.external = Buffer.from("held by the host");
    core.replay(slot, [{ position: 1, topic: "long/topic", external: core.external.length }]);
    core.replay(slot, [{ position: 2, topic: "long/topic", payload: "small" }]);
    expect(core.take(slot)).toMatchObject([
      { topic: "long/topic", text: "held by the host", properties: { topicAlias: 1 } },
      { topic: "", text: "small", properties: { topicAlias: 1 } },
    ]);
  });

  test("a batch larger than the arenas, whole and in order", () => {
    const core = new RouteCore(build);
    const slot = core.open();
    const entries = Array.from(
      { length: 6 },
      (_, i): Entry => ({ position: i, payload: Buffer.alloc(60_000, i) }),
    );
    for (let round = 0; round < 5; round++) {
      core.replay(slot, entries);
      const messages = core.take(slot) as Publish[];
      expect(messages.map((message) => message.payload[59_999])).toEqual([0, 1, 2, 3, 4, 5]);
      expect(messages.map((message) => message.payload[0])).toEqual([0, 1, 2, 3, 4, 5]);
    }
  });

  test("an identifier another message holds: the entry waits until it is free, and goes out then", () => {
    const core = new RouteCore(build);
    const slot = core.open({ flags: abi.SLOT_ALLOW_ALL | abi.SLOT_QUEUED });
    const wire = core.wire(slot);
    core.replay(slot, [{ position: 1 }]);
    expect(core.take(slot)).toMatchObject([{ id: 1 }]);
    const blocked: Entry[] = [
      { qos: 1, position: 2, packetId: 1, flags: abi.E_DUP, payload: "blocked" },
      { qos: 1, position: 3, payload: "behind" },
    ];
    core.takeRecords();
    expect(core.replay(slot, blocked)).toBe(abi.STOP_DONE);
    expect(core.take(slot)).toEqual([]);
    expect([core.consumed, sent(core)]).toEqual([0, []]);
    core.route(slot, wire.puback(1));
    expect(core.takeRecords().map(([kind]) => kind)).toContain(abi.R_WINDOW);
    core.replay(slot, blocked);
    expect(core.take(slot)).toMatchObject([
      { id: 1, text: "blocked" },
      { id: 2, text: "behind" },
    ]);
    expect(sent(core)).toEqual([
      [2, 1],
      [3, 2],
    ]);
  });

  test("a PUBREL whose identifier another message holds waits as well", () => {
    const core = new RouteCore(build);
    const slot = core.open({ flags: abi.SLOT_ALLOW_ALL | abi.SLOT_QUEUED });
    core.replay(slot, [{ position: 1 }]);
    core.take(slot);
    const release: Entry[] = [{ qos: 2, position: 2, packetId: 1, flags: abi.E_PUBREL }];
    core.takeRecords();
    core.replay(slot, release);
    expect([core.take(slot), core.consumed, sent(core)]).toEqual([[], 0, []]);
    core.route(slot, core.wire(slot).puback(1));
    core.takeRecords();
    core.replay(slot, release);
    expect(core.take(slot)).toMatchObject([{ type: "pubrel", id: 1 }]);
    core.route(slot, core.wire(slot).pubcomp(1));
    expect(core.takeRecords()).toContainEqual([abi.R_ACKED, slot, 2, 1]);
  });
});
