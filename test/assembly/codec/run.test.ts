import { describe, expect, it } from "vitest";
import * as abi from "../../../src/core/generated/abi.ts";
import { encodePublish } from "../../../src/protocol/packet-encoder.ts";
import { catalogue } from "../../catalogue/index.ts";
import { cores, type TestCore } from "../support.ts";

function run(core: TestCore, bytes: Uint8Array, level: number) {
  const ptr = core.place(bytes);
  const count = core.exports.parseRun(ptr, bytes.length, level);
  const table = new Uint32Array(core.exports.memory.buffer, core.exports.runPtr(), count * abi.RUN_WORDS);
  const entries = Array.from({ length: count }, (_, index) =>
    table.slice(index * abi.RUN_WORDS, (index + 1) * abi.RUN_WORDS),
  );
  const text = (at: number, length: number) => new TextDecoder().decode(core.u8.slice(at, at + length));
  return {
    count,
    consumed: core.word(abi.H_CONSUMED),
    total: core.word(abi.H_TOTAL),
    reason: core.word(abi.H_REASON),
    detail: core.word(abi.H_DETAIL),
    offset: core.word(abi.H_OFFSET),
    messages: entries.map((entry) => ({
      start: entry[abi.RUN_START] - ptr,
      total: entry[abi.RUN_TOTAL],
      flags: entry[abi.RUN_FLAGS],
      packetId: entry[abi.RUN_PACKET_ID],
      topic: text(entry[abi.RUN_TOPIC], entry[abi.RUN_TOPIC_LEN]),
      properties: entry[abi.RUN_PROPS_RAW_LEN],
      payload: text(entry[abi.RUN_PAYLOAD], entry[abi.RUN_PAYLOAD_LEN]),
      alias: entry[abi.RUN_ALIAS],
      expiry: entry[abi.RUN_EXPIRY],
    })),
  };
}

function join(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

const payload = new TextEncoder().encode("x".repeat(200));
const first = encodePublish({ level: 5, topic: "a/b", payload: payload.subarray(0, 2) });
const second = encodePublish({
  level: 5,
  topic: "",
  payload,
  qos: 1,
  dup: true,
  packetId: 9,
  properties: { topicAlias: 3, messageExpiryInterval: 60 },
});
const pingreq = Uint8Array.of(0xc0, 0);

describe.each(cores)("a run of PUBLISH on the $name build", (core) => {
  it("is described packet by packet", () => {
    const result = run(core, join(first, second), 5);
    expect(result).toMatchObject({
      count: 2,
      consumed: first.length + second.length,
      total: 0,
      reason: 0,
      detail: 0,
    });
    expect(result.messages).toEqual([
      {
        start: 0,
        total: first.length,
        flags: 0x30,
        packetId: 0,
        topic: "a/b",
        properties: 0,
        payload: "xx",
        alias: 0,
        expiry: abi.NO_VALUE,
      },
      {
        start: first.length,
        total: second.length,
        flags: 0x3a,
        packetId: 9,
        topic: "",
        properties: 8,
        payload: "x".repeat(200),
        alias: 3,
        expiry: 60,
      },
    ]);
  });

  it("stops before a packet that is not complete, wherever it is cut", () => {
    const bytes = join(first, second);
    for (let length = 0; length < bytes.length; length++) {
      const whole = length < first.length ? 0 : 1;
      const at = whole * first.length;
      const head = whole === 0 ? 2 : 3; // bytes until the length is known
      const total = length - at < head ? 0 : [first, second][whole].length;
      const result = run(core, bytes.subarray(0, length), 5);
      expect(result, `cut at ${length}`).toMatchObject({ count: whole, consumed: at, total, reason: 0 });
    }
  });

  it("stops before another packet", () => {
    const result = run(core, join(first, pingreq, second), 5);
    expect(result).toMatchObject({ count: 1, consumed: first.length, total: 2, reason: 0 });
  });

  it("stops at a wrong packet, and what stood before it counts", () => {
    const wrong = Uint8Array.of(0x30, 0x04, 0x00, 0x01, 0x23, 0x00);
    expect(run(core, join(first, wrong, second), 5)).toMatchObject({
      count: 1,
      consumed: first.length,
      reason: 0x90,
      detail: abi.DETAIL_TOPIC_WILDCARD,
      offset: 4,
    });
  });

  it("stops at a length of five bytes", () => {
    expect(run(core, join(first, Uint8Array.of(0x30, 0x80, 0x80, 0x80, 0x80, 0x01)), 5)).toMatchObject({
      count: 1,
      reason: 0x81,
      detail: abi.DETAIL_LENGTH,
      offset: 4,
    });
  });

  it("stops when its table is full", () => {
    const small = encodePublish({ level: 4, topic: "a", payload: new Uint8Array() });
    const many = (count: number) => join(...Array.from({ length: count }, () => small));
    for (const [sent, taken] of [
      [abi.RUN_CAPACITY - 1, abi.RUN_CAPACITY - 1],
      [abi.RUN_CAPACITY, abi.RUN_CAPACITY],
      [abi.RUN_CAPACITY + 1, abi.RUN_CAPACITY],
    ]) {
      const result = run(core, many(sent), 4);
      expect(result).toMatchObject({ count: taken, consumed: taken * small.length, total: 0, reason: 0 });
    }
  });

  it("refuses a Subscription Identifier of a client [MQTT-3.3.4-6]", () => {
    const bytes = encodePublish({
      level: 5,
      topic: "a",
      payload: new Uint8Array(),
      properties: { subscriptionIdentifiers: [1] },
    });
    expect(run(core, bytes, 5)).toMatchObject({
      reason: 0x82,
      detail: abi.DETAIL_SUBSCRIPTION_ID,
      offset: 6,
    });
    expect(core.decode(bytes, 5).result).toBe(0); // a server may send it
  });

  it("judges every PUBLISH of the catalogue as decodePacket does", () => {
    let judged = 0;
    for (const { name, bytes, levels, packet, refusal } of catalogue) {
      if (bytes[0] >> 4 !== 3 || name.includes("Subscription Identifier")) continue;
      for (const level of levels) {
        const { count, reason, detail, offset } = run(core, bytes, level);
        if (packet) expect([name, count, reason]).toEqual([name, 1, 0]);
        else expect([name, { reason, detail, offset }]).toEqual([name, refusal]);
        judged++;
      }
    }
    expect(judged).toBeGreaterThan(80);
  });
});
