// How long does a broker take to start on a million kept sessions and a million retained messages, and what memory does it
// have then? Fills a store, starts the command line's broker on it, and asks for a session and for retained messages.
//   node bench/durable/start.mjs [--count 1000000] [--out bench/record/start.md]
// Needs dist/. Prints a report; --out keeps it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import mqtt from "mqtt";
import { openStore } from "../../dist/store/open-store.js";

const { values } = parseArgs({
  options: { count: { type: "string", default: "1000000" }, out: { type: "string" } },
});
const COUNT = Number(values.count);
const BATCH = 20_000;
const RUNS = 3;
/** Every so many sessions one has a message queued. */
const QUEUED_EVERY = 100;
const NEVER = 0xffffffff;
const cli = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const data = mkdtempSync(join(tmpdir(), "millrace-start-bench-"));
process.once("exit", () => rmSync(data, { recursive: true, force: true }));

const filterOf = (i) => `site/${i % 1_000}/device/${i}/command`;
const topicOf = (i) => `site/${i % 1_000}/device/${i}/state`;
const PAYLOAD = Buffer.alloc(64, "x");

/** A canonical message, see assembly/abi.ts. */
function message(topic, qos, retain) {
  const name = Buffer.from(topic);
  const head = Buffer.alloc(32);
  const body = Buffer.concat([Buffer.of(name.length >> 8, name.length & 255), name, Buffer.of(0), PAYLOAD]);
  head.writeUInt32LE(32 + body.length, 0);
  head.writeUInt32LE(qos | (retain ? 4 : 0), 4);
  head.writeUInt32LE(NEVER, 8);
  head.writeUInt32LE(name.length, 12);
  head.writeDoubleLE(Date.now(), 16);
  head.writeUInt32LE(NEVER, 24);
  return Buffer.concat([head, body]);
}

async function fill() {
  const store = await openStore({ directory: data, level: "process" });
  for (let from = 0; from < COUNT; from += BATCH) {
    const batch = store.begin();
    for (let i = from; i < Math.min(COUNT, from + BATCH); i++) {
      const storeId = i + 1;
      const session = { key: `standard\0client-${i}`, storeId, cursor: () => Buffer.alloc(8) };
      batch.session(session, {
        storeId,
        clientId: `client-${i}`,
        username: undefined,
        policy: "standard",
        level: 4,
        expiryInterval: NEVER,
        expiresAt: undefined,
        will: undefined,
      });
      batch.subscription(session, filterOf(i), 1);
      batch.retained(topicOf(i), message(topicOf(i), 1, true));
      if (i % QUEUED_EVERY === 0) {
        const bytes = message(filterOf(i), 1, false);
        batch.segment({ serial: storeId, bytes, deliveries: Uint32Array.of(storeId, 0, 0, 1, NEVER, 0) });
      }
    }
    await store.commit(batch);
  }
  await store.close();
}

/** kB, of the kernel's books. Of a file that is mapped only what was touched counts. */
function memory(pid) {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const of = (field) => Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
  return { rss: of("VmRSS"), peak: of("VmHWM"), anon: of("RssAnon") };
}

/** CPU time so far, in ticks of 10 ms in the kernel's books. */
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Until the broker has said what it listens on; then it is asked, and stopped. */
function start(run) {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const args = [
      "--data",
      data,
      "--profile",
      "standard",
      "--listen",
      "tcp://127.0.0.1:0",
      "--log-level",
      "warn",
    ];
    const child = spawn(process.execPath, [cli, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    let result;
    let failure = new Error("the broker did not start");
    child.stdout.on("data", (piece) => {
      text += piece;
      if (result !== undefined || !text.includes("\nDurability: ")) return;
      result = { ms: performance.now() - begun, cpuS: cpuSeconds(child.pid), ...memory(child.pid) };
      const port = Number(/127\.0\.0\.1:(\d+)/.exec(text)?.[1]);
      ask(port, run)
        .catch((error) => {
          failure = error;
          result = undefined;
        })
        .finally(() => child.kill("SIGTERM"));
    });
    child.once("close", () => (result ? resolve(result) : reject(failure)));
  });
}

/** Is it all there? A session of the middle with its subscription, one with its message, and a thousand retained ones. */
async function ask(port, run) {
  // Another one in each run: it takes what is owed.
  const i = (Math.floor(COUNT / 2 / QUEUED_EVERY) + run) * QUEUED_EVERY;
  const owed = await client(port, `client-${i}`, false);
  await owed.until(() => owed.topics.has(filterOf(i)), "the queued message");
  await owed.end();
  const other = await client(port, `client-${i + 1}`, false);
  const asking = await client(port, "asking", true);
  await asking.mqtt.subscribeAsync("site/7/device/+/state", { qos: 0 });
  await asking.until(() => asking.topics.size === COUNT / 1_000, "the retained messages of a site");
  await asking.mqtt.publishAsync(filterOf(i + 1), "x", { qos: 1 });
  await other.until(() => other.topics.has(filterOf(i + 1)), "a message by the restored subscription");
  await Promise.all([other.end(), asking.end()]);
}

async function client(port, clientId, clean) {
  const connection = mqtt.connect(`mqtt://127.0.0.1:${port}`, { clientId, clean, reconnectPeriod: 0 });
  const topics = new Set();
  // Before CONNACK: what waits comes right behind it.
  connection.on("message", (topic) => topics.add(topic));
  await once(connection, "connect");
  return {
    mqtt: connection,
    topics,
    end: () => connection.endAsync(),
    async until(holds, what) {
      for (const end = Date.now() + 30_000; !holds(); await new Promise((resolve) => setTimeout(resolve, 10)))
        if (Date.now() > end) throw new Error(`${what}: not there`);
    },
  };
}

const fillBegun = performance.now();
await fill();
const fillS = (performance.now() - fillBegun) / 1_000;
const runs = [];
const load = [];
for (let i = 0; i < RUNS; i++) {
  runs.push(await start(i));
  load.push(loadavg()[0].toFixed(1));
}
const median = (of) => runs.map(of).sort((a, b) => a - b)[RUNS >> 1];
const whole = (value) => Math.round(value).toLocaleString("en");
const report = `# A start on a million sessions and a million retained messages

Question: how long until the broker listens, and what memory has it then? Each session has a subscription of its own, one in ${QUEUED_EVERY}
a queued message; a retained message has a topic of its own and 64 bytes. Each start was asked for a session's queued message, a
message by a restored subscription, and ${whole(COUNT / 1_000)} retained messages: all were there.

| | |
|---|---|
| sessions, subscriptions, retained messages | ${whole(COUNT)} each |
| store/data.mdb | ${whole(statSync(join(data, "store", "data.mdb")).size / 1e6)} MB |
| filling it, not counted | ${fillS.toFixed(0)} s |
| start of the process to its greeting, median of ${RUNS} | ${(median(({ ms }) => ms) / 1_000).toFixed(1)} s (${runs.map(({ ms }) => (ms / 1_000).toFixed(1)).join(", ")}) |
| CPU time of it, median | ${median(({ cpuS }) => cpuS).toFixed(1)} s (${runs.map(({ cpuS }) => cpuS.toFixed(1)).join(", ")}) |
| memory then (RSS) | ${whole(median(({ rss }) => rss) / 1_024)} MiB |
| of it, not of mapped files | ${whole(median(({ anon }) => anon) / 1_024)} MiB |
| most memory until then | ${whole(median(({ peak }) => peak) / 1_024)} MiB |
| load of the machine behind each start | ${load.join(", ")} |
| bound | 20 s |
| command | \`node bench/durable/start.mjs --count ${COUNT}\` |
| date | ${new Date().toISOString().slice(0, 10)} |
| machine | ${cpus()[0].model}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release().split("-")[0]} |
| versions | millrace ${JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")).version}, Node.js ${process.versions.node} |
`;
process.stdout.write(report);
if (values.out !== undefined) writeFileSync(values.out, report);
