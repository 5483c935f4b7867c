// What does the public interface of millrace/core cost above the raw exports that parse.mjs and match.mjs measure:
// accessors in place of words, strings in place of bytes, packet objects in place of descriptors?
import { measure } from "./harness.mjs";
import { chunkOf, samples, TOPIC } from "./samples.mjs";
import { makeMix } from "./topics.mjs";

const FILTERS = 100_000;
const BATCH = 1_000;
const built = new URL("../../dist/core/index.js", import.meta.url);

function parseTasks(core) {
  return samples.flatMap((sample) => {
    const { chunk, count } = chunkOf(sample);
    const parser = core.parser({ level: sample.level });
    const expected = count * TOPIC.length;
    return [
      {
        name: `parsePublishes, ${sample.name}`,
        operations: count,
        expected,
        run() {
          const found = core.parsePublishes(chunk, sample.level);
          let topicBytes = 0;
          for (let i = 0; i < found.count; i++) topicBytes += found.topicLength(i);
          return topicBytes;
        },
      },
      {
        name: `parser, packet objects, ${sample.name}`,
        operations: count,
        expected,
        run() {
          let topicBytes = 0;
          for (const packet of parser.push(chunk)) topicBytes += packet.topic.length;
          return topicBytes;
        },
      },
    ];
  });
}

function matchTasks({ matcher }) {
  const { filters, topics } = makeMix(FILTERS);
  for (const [id, filter] of filters.entries()) matcher.subscribe(filter, id);
  const encoded = topics.map((topic) => Buffer.from(topic));
  const ids = new Uint32Array(1024);
  const size = FILTERS.toLocaleString("en");
  const task = (name, hitsOf) => {
    let first = 0;
    return {
      name: `${name}, ${size} filters`,
      operations: BATCH,
      run() {
        let hits = 0;
        for (let i = first; i < first + BATCH; i++) hits += hitsOf(i);
        first = (first + BATCH) % topics.length;
        return hits;
      },
    };
  };
  return [
    task("matchInto, bytes", (i) => matcher.matchInto(encoded[i], ids)),
    task("matchInto, string", (i) => matcher.matchInto(topics[i], ids)),
    task("match, string", (i) => matcher.match(topics[i]).length),
  ];
}

export const title = "millrace/core";

export async function run(options) {
  const { createCore } = await import(built.href);
  // Of its own each: what one task does to the shapes and tables of a core is not measured in another.
  const tasks = [...parseTasks(createCore()), ...matchTasks(createCore())];
  return { results: await measure(tasks, options), bounds: [] };
}
