// What do a million registered devices cost? Imports them with the command line, starts a broker on them, signs devices in,
// and does the same with a thousand. Every answer is checked: the counts, and that each sign-in is accepted.
//   node bench/registry/index.mjs [--devices 1000000] [--out bench/record/registry.md]
// Needs dist/. Prints a report; --out keeps it.
import { spawn } from "node:child_process";
import { createWriteStream, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: { devices: { type: "string", default: "1000000" }, out: { type: "string" } },
});
const MANY = Number(values.devices);
const FEW = 1_000;
const PK = "a1BenchKey0";
const SIGN_INS = 20_000;
const RUNS = 3;
const cli = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const place = mkdtempSync(join(tmpdir(), "millrace-registry-bench-"));
process.once("exit", () => rmSync(place, { recursive: true, force: true }));

const name = (i) => `device-${String(i).padStart(7, "0")}`;
const secret = (i) => i.toString(16).padStart(32, "0");

/** One table row of the result. */
async function measure(count) {
  const data = join(place, `data-${count}`);
  const csv = join(place, `${count}.csv`);
  await writeCsv(csv, count);
  const imported = await run(["device", "import", csv, "--data", data]);
  if (!imported.stderr.includes(`devices imported: ${count}`)) throw new Error(imported.stderr);
  const file = join(data, "registry", "data.mdb");
  const listen = ["--listen", "tcp://127.0.0.1:0", "--log-level", "warn"];
  await start(["--data", data, ...listen]); // makes what a first start makes
  const starts = [];
  for (let i = 0; i < RUNS; i++) starts.push(await start(["--data", data, ...listen]));
  const signed = await signIns(data, count);
  return {
    count,
    csvMb: statSync(csv).size / 1e6,
    importS: imported.seconds,
    importMb: imported.peakKb / 1024,
    importAnonMb: imported.anonKb / 1024,
    fileMb: statSync(file).size / 1e6,
    bytes: statSync(file).size / count,
    startMs: median(starts.map(({ ms }) => ms)),
    startMb: median(starts.map(({ rssKb }) => rssKb)) / 1024,
    anonMb: median(starts.map(({ anonKb }) => anonKb)) / 1024,
    ...signed,
  };
}

async function writeCsv(path, count) {
  const stream = createWriteStream(path);
  stream.write("productKey,deviceName,deviceSecret,productSecret\n");
  for (let i = 0; i < count; ) {
    let text = "";
    for (const end = Math.min(count, i + 10_000); i < end; i++)
      text += `${PK},${name(i)},${secret(i)},BenchSecret00001\n`;
    if (!stream.write(text)) await new Promise((resolve) => stream.once("drain", resolve));
  }
  await new Promise((resolve) => stream.end(resolve));
}

/** A command to its end, with the most memory it had. */
function run(args) {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const child = spawn(process.execPath, [cli, ...args], { stdio: ["ignore", "ignore", "pipe"] });
    let stderr = "";
    let peakKb = 0;
    let anonKb = 0;
    child.stderr.on("data", (piece) => {
      stderr += piece;
    });
    const timer = setInterval(() => {
      const { peak, anon } = memory(child.pid);
      peakKb = Math.max(peakKb, peak);
      anonKb = Math.max(anonKb, anon);
    }, 100);
    child.once("close", (code) => {
      clearInterval(timer);
      if (code === 0) resolve({ stderr, peakKb, anonKb, seconds: (performance.now() - begun) / 1_000 });
      else reject(new Error(`millrace ${args.join(" ")} ended with ${code}: ${stderr}`));
    });
  });
}

/** Until the broker has said what it listens on; then it is stopped. */
function start(args) {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const child = spawn(process.execPath, [cli, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    let result;
    child.stdout.on("data", (piece) => {
      text += piece;
      if (result !== undefined || !text.includes("\nDurability: ")) return;
      const { rss, anon } = memory(child.pid);
      result = { ms: performance.now() - begun, rssKb: rss, anonKb: anon };
      child.kill("SIGTERM");
    });
    child.once("close", () => (result ? resolve(result) : reject(new Error("the broker did not start"))));
  });
}

/** kB, of the kernel's books. Of a file that is mapped only what was touched counts. */
function memory(pid) {
  let status = "";
  try {
    status = readFileSync(`/proc/${pid}/status`, "latin1");
  } catch {
    // It has ended.
  }
  const of = (field) => Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
  return { rss: of("VmRSS"), peak: of("VmHWM"), anon: of("RssAnon") };
}

/** CONNECT decisions of random devices, hmacsha256, one after another in this process; first the registry's part alone. */
async function signIns(data, count) {
  const { createPlatformPolicy, openRegistry, resolveLimits } = await import("../../dist/index.js");
  const { signedCredentials } = await import("../../dist/platform/demo.js");
  const registry = await openRegistry(data);
  if (registry.countDevices(PK) !== count) throw new Error("devices are missing");
  const policy = createPlatformPolicy({
    registry,
    limits: resolveLimits(),
    settings: { rates: { enabled: false } },
  });
  const requests = [];
  let seed = 1;
  for (let i = 0; i < SIGN_INS; i++) {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    const n = Math.floor((seed / 4_294_967_296) * count);
    const { clientId, username, password } = signedCredentials(
      { productKey: PK, deviceName: name(n), deviceSecret: secret(n) },
      { securemode: 3 },
    );
    requests.push({
      level: 4,
      clientId,
      username,
      password: Buffer.from(password),
      keepAlive: 60,
      cleanStart: true,
      properties: {},
      stream: { remoteAddress: "127.0.0.1", secure: false, transport: "tcp" },
      deviceName: name(n),
    });
  }
  const different = new Set(requests.map(({ deviceName }) => deviceName)).size;
  // As many draws as devices leave more than a third of them out; otherwise it is fewer.
  if (different < Math.min(count, SIGN_INS) * 0.6) throw new Error("not random enough");
  const rates = { cold: [], lookUps: [], coldDecisions: [], decisions: [] };
  const time = async (name, work) => {
    const begun = process.cpuUsage();
    for (const request of requests) await work(request);
    const { user, system } = process.cpuUsage(begun);
    rates[name].push(SIGN_INS / ((user + system) / 1e6));
  };
  const lookUp = ({ deviceName }) => {
    if (registry.findDevice(PK, deviceName) === undefined) throw new Error(`${deviceName} is missing`);
  };
  const decide = async (request) => {
    if ((await policy.connect(request)).ok !== true) throw new Error("a right signature was refused");
  };
  // As if each device were asked for the first time.
  const forgetful = (work) => (request) => {
    registry.cache.clear();
    return work(request);
  };
  for (let i = 0; i <= RUNS; i++) {
    await time("cold", forgetful(lookUp));
    await time("lookUps", lookUp);
    await time("coldDecisions", forgetful(decide));
    await time("decisions", decide);
  }
  await registry.close();
  // The first round warms up.
  return Object.fromEntries(Object.entries(rates).map(([name, all]) => [name, median(all.slice(1))]));
}

function median(all) {
  return [...all].sort((a, b) => a - b)[all.length >> 1];
}

const few = await measure(FEW);
const many = await measure(MANY);
const whole = (value) => Math.round(value).toLocaleString("en");
const rows = [
  ["CSV", ({ csvMb }) => `${csvMb.toFixed(1)} MB`],
  ["`millrace device import`, to its end", ({ importS }) => `${importS.toFixed(1)} s`],
  ["most memory of the import (RSS)", ({ importMb }) => `${whole(importMb)} MiB`],
  ["of it, not of mapped files", ({ importAnonMb }) => `${whole(importAnonMb)} MiB`],
  ["registry/data.mdb", ({ fileMb }) => `${fileMb.toFixed(1)} MB`],
  ["of it, for each device", ({ bytes }) => `${whole(bytes)} bytes`],
  ["start of a broker, to its greeting", ({ startMs }) => `${whole(startMs)} ms`],
  ["memory after the start (RSS)", ({ startMb }) => `${whole(startMb)} MiB`],
  ["of it, not of mapped files", ({ anonMb }) => `${whole(anonMb)} MiB`],
  ["look-ups of random devices per CPU-second", ({ lookUps }) => whole(lookUps)],
  ["the same, nothing cached", ({ cold }) => whole(cold)],
  ["CONNECT decisions (hmacsha256) per CPU-second", ({ decisions }) => whole(decisions)],
  ["the same, nothing cached", ({ coldDecisions }) => whole(coldDecisions)],
];
const perDevice = ((many.startMb - few.startMb) * 1_048_576) / (MANY - FEW);
const report = `# A million devices in the registry

Question: what do registered devices cost, and does a sign-in cost more where there are more of them?

| | ${whole(FEW)} devices | ${whole(MANY)} devices |
|---|---|---|
${rows.map(([label, show]) => `| ${label} | ${show(few)} | ${show(many)} |`).join("\n")}

Memory for each device that is registered and not online: ${Math.max(0, perDevice).toFixed(1)} bytes. Devices are read from the file when they
sign in; 8 MiB of those asked for last (about 16,000) are cached, so a thousand are all in the cache, and only the rows without it compare.
Starts, look-ups and decisions: median of ${RUNS}; ${whole(SIGN_INS)} random devices a round, one process, one core. The import
ends when everything is flushed. Seconds and milliseconds are of the wall clock: what else the machine does lengthens them.

| | |
|---|---|
| command | \`node bench/registry/index.mjs --devices ${MANY}\` |
| date | ${new Date().toISOString().slice(0, 10)} |
| machine | ${cpus()[0].model}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()} |
| versions | millrace ${JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")).version}, Node.js ${process.versions.node} |
`;
process.stdout.write(report);
if (values.out !== undefined) writeFileSync(values.out, report);
