// The fast path: descriptors of PUBLISH packets, compared with decode().
import { describe, expect, it } from "vitest";
import { INPUT_SIZE, RUN_CAPACITY } from "../../src/core/generated/abi.ts";
import {
  createCore,
  type Packet,
  type ProtocolLevel,
  type PublishPacket,
  type PublishRun,
} from "../../src/core/index.ts";
import { catalogue } from "../catalogue/index.ts";
import { builds } from "./builds.ts";

const join = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));
const message: PublishPacket = {
  type: "publish",
  topic: "设备/a",
  payload: Uint8Array.of(1, 2, 3),
  qos: 1,
  packetId: 9,
  retain: true,
  dup: true,
};
const small: PublishPacket = { ...message, topic: "t", qos: 0, packetId: 0, retain: false, dup: false };
const aliased: PublishPacket = {
  ...small,
  topic: "",
  properties: { topicAlias: 3, messageExpiryInterval: 60, userProperties: [["k", "v"]] },
};

/** Packet i as its descriptor tells it, without properties. */
function described(run: PublishRun, i: number) {
  return {
    type: "publish",
    topic: run.topic(i),
    payload: run.payload(i),
    qos: run.qos(i),
    packetId: run.packetId(i),
    retain: run.retain(i),
    dup: run.dup(i),
  };
}

describe.each(builds)("a run of PUBLISH on the $build build", ({ module }) => {
  const core = createCore(module);

  it("is described packet by packet, in offsets of the chunk", () => {
    const parts = [message, small, aliased].map((packet) => core.encode(packet, 5));
    const chunk = join(...parts);
    const run = core.parsePublishes(chunk, 5);
    expect(run).toMatchObject({
      count: 3,
      consumed: chunk.length,
      stop: "end",
      reasonCode: 0,
      detail: "",
      offset: 0,
    });
    expect([0, 1].map((i) => described(run, i))).toEqual([message, small]);
    expect([0, 1, 2].map((i) => run.packet(i))).toEqual([message, small, aliased]);
    expect([0, 1, 2].map((i) => run.topicAlias(i))).toEqual([0, 0, 3]);
    expect([0, 1, 2].map((i) => run.messageExpiryInterval(i))).toEqual([undefined, undefined, 60]);
    expect([0, 1, 2].map((i) => run.start(i))).toEqual([
      0,
      parts[0].length,
      parts[0].length + parts[1].length,
    ]);
    expect([0, 1, 2].map((i) => run.length(i))).toEqual(parts.map((part) => part.length));
    expect(chunk.subarray(run.topicStart(0), run.topicStart(0) + run.topicLength(0))).toEqual(
      new TextEncoder().encode(message.topic),
    );
    expect([run.payloadStart(0) + run.payloadLength(0), run.topicLength(2)]).toEqual([parts[0].length, 0]);
    expect(run.payload(0).buffer).toBe(chunk.buffer); // no copy
  });

  it("stays readable while the core does other things, even when its memory grows", () => {
    const chunk = join(core.encode(message, 4), core.encode(small, 4));
    const run = core.parsePublishes(chunk, 4);
    core.matcher.match("a/b");
    const huge: Packet = { ...small, payload: new Uint8Array(40_000_000) };
    core.decode(core.encode(huge, 4), { level: 4 });
    expect([0, 1].map((i) => described(run, i))).toEqual([message, small]);
    expect(run.packet(1)).toEqual(small);
  });

  it("ends where another packet stands, or the beginning of one", () => {
    const bytes = core.encode(small, 4);
    expect(core.parsePublishes(new Uint8Array(), 4)).toMatchObject({ count: 0, stop: "end" });
    expect(core.parsePublishes(join(bytes, Uint8Array.of(0xc0, 0)), 4)).toMatchObject({
      count: 1,
      consumed: bytes.length,
      stop: "other",
    });
    for (let cut = 1; cut < bytes.length; cut++) {
      expect(core.parsePublishes(join(bytes, bytes.subarray(0, cut)), 4), `cut at ${cut}`).toMatchObject({
        count: 1,
        consumed: bytes.length,
        stop: "incomplete",
      });
    }
  });

  it("ends at a wrong packet and says what is wrong", () => {
    const bytes = core.encode(small, 4);
    const wrong = Uint8Array.of(0x30, 0x04, 0x00, 0x01, 0x23, 0x00);
    expect(core.parsePublishes(join(bytes, wrong, bytes), 4)).toMatchObject({
      count: 1,
      consumed: bytes.length,
      stop: "error",
      reasonCode: 0x90,
      detail: "wildcard in a Topic Name",
      offset: 4,
    });
    expect(core.parsePublishes(bytes, 4)).toMatchObject({
      stop: "end",
      reasonCode: 0,
      detail: "",
      offset: 0,
    });
  });

  it("goes on in another call where its table or the input region is full", () => {
    const walk = (chunk: Uint8Array, level: ProtocolLevel) => {
      const counts: number[] = [];
      let at = 0;
      for (;;) {
        const run = core.parsePublishes(chunk.subarray(at), level);
        counts.push(run.count);
        at += run.consumed;
        if (run.stop !== "full") return { counts, at, stop: run.stop };
      }
    };
    const bytes = core.encode(small, 4);
    const many = (count: number, of = bytes) => {
      const chunk = new Uint8Array(count * of.length);
      for (let i = 0; i < count; i++) chunk.set(of, i * of.length);
      return chunk;
    };
    for (const [sent, counts] of [
      [RUN_CAPACITY, [RUN_CAPACITY]],
      [RUN_CAPACITY + 1, [RUN_CAPACITY, 1]],
    ] as const) {
      expect(walk(many(sent), 4)).toEqual({ counts, at: sent * bytes.length, stop: "end" });
    }
    const kilobyte = core.encode({ ...small, payload: new Uint8Array(1000) }, 4);
    const fit = Math.floor(INPUT_SIZE / kilobyte.length);
    expect(walk(many(2 * fit + 5, kilobyte), 4)).toEqual({
      counts: [fit, fit, 5],
      at: (2 * fit + 5) * kilobyte.length,
      stop: "end",
    });
    const big = core.encode({ ...small, payload: new Uint8Array(300_000) }, 4);
    expect(walk(join(bytes, big, big, bytes), 4)).toEqual({
      counts: [1, 1, 1, 1],
      at: 2 * (bytes.length + big.length),
      stop: "end",
    });
    expect(walk(big.subarray(0, 299_000), 4)).toEqual({ counts: [0], at: 0, stop: "incomplete" });
  });

  it("judges every PUBLISH of the catalogue as decode() does, but no Subscription Identifier [MQTT-3.3.4-6]", () => {
    let judged = 0;
    for (const { name, bytes, levels } of catalogue) {
      if (bytes[0] >> 4 !== 3 || name.includes("Subscription Identifier")) continue;
      for (const level of levels) {
        const decoded = core.decode(bytes, { level });
        const run = core.parsePublishes(bytes, level);
        if (decoded.status === "packet")
          expect([name, run.stop, run.packet(0)]).toEqual([name, "end", decoded.packet]);
        else {
          const { stop: status, reasonCode, detail, offset } = run;
          expect({ name, status, reasonCode, detail, offset }).toEqual({ name, ...decoded });
        }
        judged++;
      }
    }
    expect(judged).toBeGreaterThan(80);
    const own = core.encode({ ...small, properties: { subscriptionIdentifiers: [1] } }, 5);
    expect(core.parsePublishes(own, 5)).toMatchObject({ stop: "error", reasonCode: 0x82 });
  });
});

describe("mistakes of the caller", () => {
  const core = createCore();

  it("a packet the run does not have", () => {
    const run = core.parsePublishes(core.encode(small, 4), 4);
    for (const i of [-1, 1, 0.5, Number.NaN]) {
      expect(() => run.topicLength(i)).toThrow(expect.objectContaining({ code: "CORE_ARGUMENT" }));
    }
  });

  it("a chunk that was written over", () => {
    const chunk = core.encode(small, 4);
    const run = core.parsePublishes(chunk, 4);
    chunk.fill(0);
    expect(() => run.packet(0)).toThrow(expect.objectContaining({ code: "CORE_ARGUMENT" }));
  });
});
