// How many PUBLISH packets a second does one core validate completely (lengths, flags, UTF-8, topic, properties),
// many to a chunk, the copy into the core and the reading of every descriptor included? Beside mqtt-packet.
import { parser as createParser } from "mqtt-packet";
import { openCore } from "./core.mjs";
import { measure } from "./harness.mjs";
import { chunkOf, samples, TOPIC } from "./samples.mjs";

const LEAST_TIMES_MQTT_PACKET = 20;

function ourTask(core, sample, { chunk, count }) {
  const { exports, abi, region } = core;
  const bytes = core.bytes();
  const words = core.words();
  const table = exports.runPtr() >> 2;
  return {
    name: `millrace, ${sample.name}`,
    operations: count,
    expected: count * TOPIC.length,
    run() {
      bytes.set(chunk, region);
      const found = exports.parseRun(region, chunk.length, sample.level);
      let topicBytes = 0;
      for (let i = 0, at = table; i < found; i++, at += abi.RUN_WORDS)
        topicBytes += words[at + abi.RUN_TOPIC_LEN];
      return topicBytes;
    },
  };
}

function theirTask(sample, { chunk, count }) {
  const parser = createParser({ protocolVersion: sample.level });
  let topicBytes = 0;
  parser.on("packet", (packet) => {
    topicBytes += packet.topic.length;
  });
  return {
    name: `mqtt-packet, ${sample.name}`,
    operations: count,
    expected: count * TOPIC.length,
    run() {
      topicBytes = 0;
      parser.parse(chunk);
      return topicBytes;
    },
  };
}

export const title = "parse PUBLISH, full validation";

export async function run(options) {
  const core = await openCore();
  const chunks = samples.map(chunkOf);
  const tasks = samples.flatMap((sample, i) => [
    ourTask(core, sample, chunks[i]),
    theirTask(sample, chunks[i]),
  ]);
  const results = await measure(tasks, options);
  const bounds = samples.flatMap((sample, i) => {
    const [ours, theirs] = [results[2 * i], results[2 * i + 1]];
    return [
      {
        name: `${sample.name}: times mqtt-packet`,
        value: ours.perSecond / theirs.perSecond,
        least: LEAST_TIMES_MQTT_PACKET,
      },
      ...(sample.bar
        ? [{ name: `${sample.name}: packets/s`, value: ours.perSecond, least: sample.bar }]
        : []),
    ];
  });
  return { results, bounds };
}
