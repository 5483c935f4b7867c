// Writes what a long run has shown to bench/record/, on what machine and with what.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";

const RECORDS = fileURLToPath(new URL("../../bench/record/", import.meta.url));

export function writeRecord(options, result, seconds) {
  const require = createRequire(import.meta.url);
  const version = (path) => JSON.parse(readFileSync(path, "utf8")).version;
  const lmdb = version(require.resolve("lmdb").replace(/(node_modules[\\/]lmdb)[\\/].*/, "$1/package.json"));
  const own = version(fileURLToPath(new URL("../../package.json", import.meta.url)));
  const variant = options.cli ? "-cli" : options.faults === undefined ? "" : "-faults";
  const kind = options.level + variant;
  const path = `${RECORDS}crash-${kind}.md`;
  const { counts } = result;
  const text = `# Crash test, level \`${options.level}\`${options.cli ? ", command line" : options.faults === undefined ? "" : ", failing store"}

Question: is every acknowledged message, subscription and retained value there after SIGKILL at a random moment?
${result.violations.length === 0 ? "Answer of this run: yes." : "Answer of this run: NO, see below."}

| | |
|---|---|
| command | \`npm run crash -- --rounds ${options.rounds} --level ${options.level} --seed ${options.seed}${options.faults === undefined ? "" : ` --faults ${options.faults}`}${options.cli ? " --cli" : ""}\` |
| date | ${new Date().toISOString().slice(0, 10)} |
| machine | ${cpus()[0].model}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release().split("-")[0]} |
| versions | millrace ${own}, Node.js ${process.versions.node}, lmdb ${lmdb} |
| seed | ${options.seed} |
| rounds | ${result.rounds} |
| kills | ${result.kills}, of which ${result.kills - result.rounds} during start-up |
| full counts of everything promised | ${result.checks} |
| messages sent | ${counts.sent} |
| acknowledged | ${counts.acknowledged} |
| refused (5.0, >= 0x80) | ${counts.refused} |
| given up unanswered by publishers without a session | ${counts.abandoned} |
| Wills left behind | ${counts.wills}, of which known to wait for their delay: ${counts.willsWaiting} |
${options.cli ? `| sign-ins of the demo device after a start | ${counts.signIns} |\n` : ""}| deliveries | ${counts.delivered}, of which repeated at QoS 1: ${counts.again} |
| promises broken | ${result.violations.length} |
| time | ${Math.round(seconds)} s |
${result.violations.map((violation) => `\n- ${violation}`).join("")}`;
  writeFileSync(path, `${text.trimEnd()}\n`);
  return path;
}
