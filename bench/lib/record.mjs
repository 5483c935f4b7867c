// Where and with what something was measured, and the files that keep it. Names a machine by its processor only:
// no host name, no user, no path gets into a record.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import { packageVersion } from "./version.mjs";

const here = new URL("../", import.meta.url);
const record = new URL("record/", here);
const LOCATIONS = /^--(mqload|mosquitto|flashmq|relay|aedes-level)(=.*)?$/;

function revision() {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], {
      cwd: here,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "unknown";
  }
}

/** The command without the places where programs are installed. */
function commandOf(argv) {
  const kept = [];
  for (let i = 0; i < argv.length; i++) {
    const location = LOCATIONS.exec(argv[i]);
    if (!location) kept.push(argv[i]);
    else if (!location[2]) i++;
  }
  return ["node bench/run.mjs", ...kept].join(" ");
}

export function describeMachine() {
  const cpus = os.cpus();
  const model = (cpus[0]?.model ?? process.arch).replace(/\s+/g, " ").trim();
  return {
    model,
    cores: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release().split("-")[0]} ${os.arch()}`,
    slug: `${model
      .toLowerCase()
      .replace(/\((r|tm)\)/g, "")
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-|-$/g, "")}-${cpus.length}-cores`,
  };
}

export function describeRun(argv, versions) {
  const packages = ["mqtt-packet", "qlobber", "tinybench", "assemblyscript"];
  return {
    date: new Date().toISOString().slice(0, 16).replace("T", " "),
    command: commandOf(argv),
    revision: revision(),
    machine: describeMachine(),
    versions: {
      node: process.version.slice(1),
      ...versions,
      ...Object.fromEntries(packages.map((name) => [name, packageVersion(name)])),
    },
  };
}

/** Writes `<date>.md` and `<date>.json`; a second record of a day gets a number. Returns the name of the first. */
export function writeRecord(run, markdown, data) {
  const folder = new URL(`${run.machine.slug}/`, record);
  mkdirSync(folder, { recursive: true });
  const day = run.date.slice(0, 10);
  let name = day;
  for (let n = 2; existsSync(new URL(`${name}.md`, folder)); n++) name = `${day}-${n}`;
  writeFileSync(new URL(`${name}.md`, folder), markdown);
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify({ ...run, ...data }, null, 1)}\n`);
  return `bench/record/${run.machine.slug}/${name}.md`;
}
