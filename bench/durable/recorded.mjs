// What is recorded of brokers that keep messages, without a bound: time to PUBACK at 1,000 messages a second, bytes on
// disk and bytes written for a message, and how many messages share a write of Millrace's levels.
import { existsSync, lstatSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { startBroker } from "../lib/broker.mjs";
import { chooseLoadTool } from "../lib/load-tool.mjs";
import { formatNumber } from "../lib/stats.mjs";
import { markdownTable } from "../lib/table.mjs";
import { makeSessions, publishAll } from "./offline.mjs";

/** Names that --only knows. */
export const RECORDED = ["durable", "durable-recorded"];

const RATE = 1_000;
const SESSIONS = 100;
const QUEUED = 100_000;
const RETAINED = 20_000;
const server = fileURLToPath(new URL("server.mjs", import.meta.url));
const LEVELS = ["process", "power"];
const BLOCK = 512;

/** Bytes a folder occupies on the disk, but for the engine's log of readers and this bench's own files. */
function diskBytes(folder) {
  let bytes = 0;
  for (const name of readdirSync(folder)) {
    const file = path.join(folder, name);
    const found = lstatSync(file);
    if (found.isDirectory()) bytes += diskBytes(file);
    else if (!/\.(conf|json|log)$|^lock\.mdb$|^LOG/.test(name)) bytes += found.blocks * BLOCK;
  }
  return bytes;
}

/** Bytes the process has sent to the disk so far (Linux). */
function writtenBytes(pid) {
  try {
    return Number(/^write_bytes: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1]);
  } catch {
    return undefined;
  }
}

async function withBroker(peer, options, work) {
  let onDisk;
  const broker = await startBroker(peer, options, { onEnd: (folder) => (onDisk = inspect(folder)) });
  let result;
  try {
    result = await work(broker);
  } finally {
    await broker.stop();
  }
  return { ...result, ...onDisk };
}

function inspect(folder) {
  const counts = path.join(folder, "counts.json");
  return {
    disk: diskBytes(folder),
    ...(existsSync(counts) ? JSON.parse(readFileSync(counts, "utf8")) : {}),
  };
}

const topicOf = (number) => `kept/${number % SESSIONS}`;

async function timeToPuback(peer, options, online) {
  return withBroker(peer, options, async ({ port }) => {
    const clients = await makeSessions(port, SESSIONS, online);
    await publishAll(port, { total: RATE, rate: RATE, topicOf }); // warm
    const seconds = options.quick ? 1 : 5;
    const times = await publishAll(port, { total: RATE * seconds, rate: RATE, topicOf });
    for (const client of clients) client.destroy();
    const at = (share) => times[Math.floor(share * times.length)] * 1_000;
    return { p50: at(0.5), p99: at(0.99) };
  });
}

async function bytesPerMessage(peer, options) {
  const empty = await withBroker(peer, options, ({ port }) =>
    makeSessions(port, SESSIONS, false).then(() => ({})),
  );
  const queued = await withBroker(peer, options, async ({ port, pid }) => {
    await makeSessions(port, SESSIONS, false);
    const before = writtenBytes(pid);
    await publishAll(port, { total: QUEUED, topicOf });
    return { written: writtenBytes(pid) - before };
  });
  const retained = await withBroker(peer, options, async ({ port }) => {
    await publishAll(port, { total: RETAINED, topicOf: (number) => `retained/${number}`, retain: true });
    return {};
  });
  return {
    queued: (queued.disk - empty.disk) / QUEUED,
    written: queued.written / QUEUED,
    retained: retained.disk / RETAINED,
  };
}

/** Messages for each write of the store, and the share of messages' batches that needed none. */
async function messagesPerWrite(level, options) {
  const peer = {
    name: level,
    command: ({ port, directory }) => ({
      file: process.execPath,
      args: [server, level, String(port), directory],
    }),
  };
  const per = ({ messages, groups }) => messages / Math.max(1, groups);
  const offline = (rate, messages) =>
    withBroker(peer, options, async ({ port }) => {
      await makeSessions(port, SESSIONS, false);
      await publishAll(port, { total: messages, rate, topicOf });
      return { messages };
    });
  const tool = chooseLoadTool(options, {});
  const online = await withBroker(peer, options, async (broker) => {
    const load = "--scenario p2p --pubs 10 --qos 1 --inflight 100 --persistent --duration 1 --warmup 1";
    const { report, problem } = await tool.run(broker, load.split(" "));
    if (problem) throw new Error(problem);
    return { messages: report.expected };
  });
  return {
    full: per(await offline(0, QUEUED)),
    slow: per(await offline(RATE, RATE * 2)),
    online: per(online),
  };
}

/** Returns rows `{ title, values: { engine: number } }`. */
export async function recordDurable(found, options, log) {
  const rows = new Map();
  const note = (title, name, value) => {
    if (!rows.has(title)) rows.set(title, { title, values: {} });
    if (Number.isFinite(value)) rows.get(title).values[name] = value;
  };
  const attempt = async (name, what, work) => {
    try {
      await work();
      log(`durable-recorded ${name} ${what} ok`);
    } catch (error) {
      log(`durable-recorded ${name} ${what} ${error.message}`);
    }
  };
  for (const [name, { peer }] of found) {
    for (const [online, who] of [
      [false, "sessions that are away"],
      [true, "sessions that acknowledge at once"],
    ]) {
      await attempt(name, who, async () => {
        const { p50, p99 } = await timeToPuback(peer, options, online);
        note(`PUBACK at ${RATE} msg/s to ${who}, p50 µs`, name, p50);
        note(`PUBACK at ${RATE} msg/s to ${who}, p99 µs`, name, p99);
      });
    }
    if (name === "memory") continue;
    await attempt(name, "bytes", async () => {
      const { queued, written, retained } = await bytesPerMessage(peer, options);
      note("bytes on disk for a queued message of 64 bytes", name, queued);
      note("bytes written while it is queued", name, written);
      note("bytes on disk for a retained message of 64 bytes", name, retained);
    });
    if (!LEVELS.includes(name)) continue;
    await attempt(name, "writes", async () => {
      const { full, slow, online } = await messagesPerWrite(name, options);
      note("messages to a write, queued at full speed", name, full);
      note(`messages to a write, queued at ${RATE} msg/s`, name, slow);
      note("messages to a write, online persistent sessions at full speed", name, online);
    });
  }
  return [...rows.values()];
}

export function recordedTables(rows) {
  const names = [...new Set(rows.flatMap(({ values }) => Object.keys(values)))];
  return markdownTable(
    ["recorded", ...names],
    rows.map(({ title, values }) => [
      title,
      ...names.map((n) => (n in values ? formatNumber(values[n]) : "")),
    ]),
  );
}
