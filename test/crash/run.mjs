// Command line of the crash test: node test/crash/run.mjs --rounds 200 --level power [--seed N] [--faults RATE] [--cli]
// [--work MS] [--record] [--trace FILE] [--dist PATH]. Exit status 1 where a promise was not kept; the seed brings it back as far as
// timing allows.
import { openSync, writeSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { CrashTest } from "./harness.mjs";
import { writeRecord } from "./record.mjs";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    level: { type: "string", default: "power" },
    seed: { type: "string" },
    faults: { type: "string" },
    cli: { type: "boolean", default: false },
    work: { type: "string", default: "800" },
    record: { type: "boolean", default: false },
    trace: { type: "string" },
    quiet: { type: "boolean", default: false },
    dist: { type: "string", default: fileURLToPath(new URL("../../dist", import.meta.url)) },
  },
});
if (values.level !== "power" && values.level !== "process") throw new RangeError("--level: power or process");

if (values.cli && values.faults !== undefined)
  throw new RangeError("--cli: the command line has no faults to inject");

/** Every packet of every client, a line each. */
function tracer(path) {
  const file = openSync(path, "w");
  return (id, direction, packet) => {
    const text = Buffer.isBuffer(packet)
      ? `${packet.subarray(0, 8).toString("hex")} ${packet.toString("latin1", 8, 60).replace(/[^ -~]/g, ".")}`
      : JSON.stringify(packet).slice(0, 150);
    writeSync(file, `${performance.now().toFixed(1)} ${id} ${direction} ${text}\n`);
  };
}

const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
const options = {
  seed,
  rounds: Number(values.rounds),
  level: values.level,
  dist: values.dist,
  cli: values.cli,
  workMs: Number(values.work),
  faults: values.faults === undefined ? undefined : Number(values.faults),
  trace: values.trace === undefined ? undefined : tracer(values.trace),
  log: (round, { counts }) => {
    if (!values.quiet && round % 10 === 0)
      console.log(`round ${round}: ${counts.acknowledged} acknowledged, ${counts.delivered} delivered`);
  },
};
console.log(
  `seed ${seed}, level ${values.level}${values.cli ? ", command line" : ""}, ${values.rounds} rounds${values.faults ? `, faults ${values.faults}` : ""}`,
);
const started = Date.now();
const result = await new CrashTest(options).run();
const seconds = (Date.now() - started) / 1_000;
console.log(
  JSON.stringify({ ...result, said: undefined, violations: undefined, directory: undefined, seconds }),
);
if (values.record) console.log(`recorded in ${writeRecord(options, result, seconds)}`);
if (result.violations.length > 0) {
  for (const text of result.violations) console.log(`VIOLATION ${text}`);
  for (const line of result.said) console.log(`broker: ${line}`);
  console.log(`the data directory is kept: ${result.directory}`);
  process.exitCode = 1;
}
