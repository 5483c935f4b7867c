// The fast path of the core: PUBLISH packets of a chunk as numbers, no object each, and ids of matching filters in an
// array that is used again. Runs in Deno without permissions, and as it stands in Node, Bun and browsers.
// In this project: npm run build && npx deno run docs/examples/core.ts
import { type Core, createCore } from "millrace/core";

const BYTES_PER_MESSAGE = 64;

/** A chunk of 1,000 messages, as a busy client's socket would deliver it. */
function makeChunk(core: Core): Uint8Array {
  const packets = Array.from({ length: 1_000 }, (_, i) =>
    core.encode(
      {
        type: "publish",
        topic: `plant/${i % 10}/speed`,
        payload: new Uint8Array(BYTES_PER_MESSAGE),
        qos: 0,
        packetId: 0,
        retain: false,
        dup: false,
      },
      4,
    ),
  );
  const chunk = new Uint8Array(packets.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const packet of packets) {
    chunk.set(packet, at);
    at += packet.length;
  }
  return chunk;
}

/** Counts the deliveries that the PUBLISH packets of a chunk would cause. */
function countDeliveries(core: Core, chunk: Uint8Array, ids: Uint32Array): number {
  let deliveries = 0;
  for (let rest = chunk; ; ) {
    const run = core.parsePublishes(rest, 4);
    for (let i = 0; i < run.count; i++) {
      const start = run.topicStart(i);
      deliveries += core.matcher.matchInto(rest.subarray(start, start + run.topicLength(i)), ids);
    }
    if (run.stop === "error") throw new Error(run.detail);
    if (run.stop !== "full") return deliveries;
    rest = rest.subarray(run.consumed);
  }
}

const core = createCore();
for (const [id, filter] of ["plant/+/speed", "plant/7/#", "#", "$SYS/#"].entries()) core.matcher.subscribe(filter, id);
const deliveries = countDeliveries(core, makeChunk(core), new Uint32Array(16));
console.log(`matched ${deliveries} deliveries of 1000 messages, table of ${core.matcher.bytes} bytes`);
