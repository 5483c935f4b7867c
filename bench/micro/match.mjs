// How many Topic Names a second are matched against 1 k, 100 k and 1 M filters, no result remembered, and what
// does a filter cost in memory? Beside qlobber as Aedes' emitter configures it. Both must find the same subscribers.
import { createRequire } from "node:module";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { openCore } from "./core.mjs";
import { measure } from "./harness.mjs";
import { makeMix } from "./topics.mjs";

const { Qlobber } = createRequire(import.meta.url)("qlobber");
const SIZES = [
  { filters: 1_000, least: 4 },
  { filters: 100_000, least: 6 },
  { filters: 1_000_000, least: 6.5 },
];
const MOST_BYTES = 200; // for a filter
const BATCH = 1_000; // topics of one timed call; together less than a chunk
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc");

/** Topics as strings, and as they lie in a chunk: bytes one behind the other. */
function makeBatches(topics) {
  const batches = [];
  for (let first = 0; first < topics.length; first += BATCH) {
    const strings = topics.slice(first, first + BATCH);
    const encoded = strings.map((topic) => Buffer.from(topic));
    batches.push({
      strings,
      chunk: Buffer.concat(encoded),
      lengths: Uint16Array.from(encoded, ({ length }) => length),
    });
  }
  return batches;
}

/** Bytes in, subscribers counted from the lists that come out; the copy into the core is included. */
async function ourMatcher(filters) {
  const core = await openCore();
  const { exports, region } = core;
  let bytes = core.bytes();
  for (const [index, filter] of filters.entries()) {
    if (bytes.length === 0) bytes = core.bytes();
    const text = Buffer.from(filter);
    bytes.set(text, region);
    if (exports.subscribe(region, text.length, index, 0) < 0) throw new Error(`filter refused: ${filter}`);
  }
  bytes = core.bytes();
  const words = core.words();
  const list = exports.listsPtr() >> 2;
  return {
    bytesPerFilter: exports.tableBytes() / filters.length,
    match({ chunk, lengths }) {
      bytes.set(chunk, region);
      let hits = 0;
      let at = region;
      for (const length of lengths) {
        if (exports.scanTopicName(at, length) !== 0) throw new Error("topic refused");
        const runs = exports.matchTopic();
        for (let run = 0; run < runs; run++) hits += words[list + 2 * run + 1];
        at += length;
      }
      return hits;
    },
  };
}

function theirMatcher(filters) {
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const settings = { match_empty_levels: true, separator: "/", wildcard_one: "+", wildcard_some: "#" };
  const qlobber = new Qlobber(settings);
  for (const [index, filter] of filters.entries()) qlobber.add(filter, index);
  collectGarbage();
  return {
    bytesPerFilter: (process.memoryUsage().heapUsed - before) / filters.length,
    match({ strings }) {
      let hits = 0;
      for (const topic of strings) hits += qlobber.match(topic).length;
      return hits;
    },
  };
}

/** Walks through all topics, a batch a call, so that caches see the whole table and not one corner of it. */
function task(name, matcher, batches) {
  let turn = 0;
  return {
    name,
    operations: BATCH,
    run: () => matcher.match(batches[turn++ % batches.length]),
  };
}

const countHits = (matcher, batches) => batches.reduce((sum, batch) => sum + matcher.match(batch), 0);

export const title = "match, uncached";

export async function run(options) {
  const results = [];
  const bounds = [];
  for (const { filters: count, least } of options.quick ? SIZES.slice(0, 2) : SIZES) {
    const { filters, topics } = makeMix(count);
    const batches = makeBatches(topics);
    const ours = await ourMatcher(filters);
    const theirs = theirMatcher(filters);
    const [hits, theirHits] = [ours, theirs].map((matcher) => countHits(matcher, batches));
    if (hits !== theirHits) throw new Error(`${count} filters: ${hits} hits, qlobber has ${theirHits}`);
    const size = count.toLocaleString("en");
    const pair = await measure(
      [task(`millrace, ${size} filters`, ours, batches), task(`qlobber, ${size} filters`, theirs, batches)],
      options,
    );
    pair[0].bytes = ours.bytesPerFilter;
    pair[1].bytes = theirs.bytesPerFilter;
    pair[0].hitsPerTopic = pair[1].hitsPerTopic = hits / topics.length;
    results.push(...pair);
    bounds.push({
      name: `${size} filters: times qlobber`,
      value: pair[0].perSecond / pair[1].perSecond,
      least,
    });
    bounds.push({ name: `${size} filters: bytes each`, value: ours.bytesPerFilter, most: MOST_BYTES });
  }
  return { results, bounds };
}
