// Devices to measure with: a data directory they are registered in, made once with the command line, and files of their
// signed credentials for the load generators. The secrets are numbers; a bench guards nothing.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const PK = "a1BenchKey0";
const COUNT = 9_000;
const TIMESTAMP = "2524608000000";
export const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export const nameOf = (i) => `device-${String(i).padStart(7, "0")}`;
export const secretOf = (i) => i.toString(16).padStart(32, "0");
/** Its topic of an ALL class. */
export const ownTopic = (i) => `/${PK}/${nameOf(i)}/user/bench`;

/** `{ data, files, copyTo(directory) }`; what is made goes with the process. */
export async function makeDevices() {
  const { sign, signContent } = await import("../../dist/platform/sign-in/signature.js");
  const root = mkdtempSync(path.join(tmpdir(), "millrace-platform-bench-"));
  process.on("exit", () => rmSync(root, { recursive: true, force: true }));
  const data = path.join(root, "data");
  const run = (...args) => execFileSync(process.execPath, [main, ...args, "--data", data], { stdio: "pipe" });
  const csv = path.join(root, "devices.csv");
  const rows = Array.from(
    { length: COUNT },
    (_, i) => `${PK},${nameOf(i)},${secretOf(i)},BenchSecret00001\n`,
  );
  writeFileSync(csv, `productKey,deviceName,deviceSecret,productSecret\n${rows.join("")}`);
  run("device", "import", csv);
  run("product", "topic", "add", PK, "/user/bench", "ALL");
  run("product", "update", PK, "--free-topics");
  const line = (i, publish = "", subscribe = "") => {
    const clientId = `${PK}.${nameOf(i)}`;
    const content = signContent({ clientId, deviceName: nameOf(i), productKey: PK, timestamp: TIMESTAMP });
    const password = sign("hmacsha256", secretOf(i), content);
    const field = `${clientId}|securemode=3,signmethod=hmacsha256,timestamp=${TIMESTAMP}|`;
    return `${[field, `${nameOf(i)}&${PK}`, password, publish, subscribe].join("\t")}\n`;
  };
  /** Writes a file of `lines` and returns its path. */
  const file = (name, lines) => {
    const target = path.join(root, name);
    writeFileSync(target, lines.join(""));
    return target;
  };
  return {
    count: COUNT,
    line,
    file,
    copyTo(directory) {
      mkdirSync(directory, { recursive: true });
      cpSync(data, directory, { recursive: true });
    },
  };
}
