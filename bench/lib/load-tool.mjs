// Runs a load generator against a broker and brings back its report.
// mqload, a separate program in C, is taken where it is named; load/ in this folder does the rest in JavaScript.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { onCore } from "./pin.mjs";
import { programVersion } from "./version.mjs";

const own = fileURLToPath(new URL("../load.mjs", import.meta.url));
const TIMEOUT_MS = 120_000;
const CORRECTNESS = 1; // exit status: messages lost, duplicated, reordered or altered

function run({ file, args }) {
  return new Promise((resolve) => {
    const child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr.on("data", (chunk) => {
      stderr = (stderr + chunk).slice(-4_000);
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
    child.once("error", (error) => resolve({ status: 2, stdout: "", stderr: error.message }));
    child.once("close", (status, signal) => {
      clearTimeout(timer);
      resolve({ status: status ?? 2, stdout, stderr: signal ? `${stderr}\nended by ${signal}` : stderr });
    });
  });
}

/** `{ name, run(broker, args, { tls }) }`: mqload if it is installed and can do it, else the generator of this folder. */
export function chooseLoadTool(options, scenario) {
  const needsOwn = scenario.tls || scenario.ownGenerator;
  const mqload = !needsOwn && options.mqload && programVersion(options.mqload, ["--help"], /(--scenario)/);
  const name = mqload ? "mqload" : "load.mjs";
  return {
    name,
    async run(broker, args) {
      const common = ["--port", String(broker.port), "--broker-pid", String(broker.pid), "--json", ...args];
      const command = mqload
        ? { file: options.mqload, args: common }
        : { file: process.execPath, args: [own, ...common, ...(scenario.tls ? ["--tls"] : [])] };
      const result = await run(onCore(options.pin && 1, command));
      const line = result.stdout.split("\n").findLast((text) => text.startsWith("{"));
      const report = line ? JSON.parse(line) : undefined;
      if (result.status === 0 && report) return { report };
      const summary = report ? JSON.stringify({ lost: report.lost, ...report.errors }) : result.stderr.trim();
      return {
        report,
        problem: `${result.status === CORRECTNESS ? "incorrect" : "could not run"}: ${summary}`,
      };
    },
  };
}
