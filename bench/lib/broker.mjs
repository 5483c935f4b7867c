// Starts one broker process on a port of its own, waits until it accepts, and stops it again.
// A broker never serves two runs: what it keeps from one would be measured in the next.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { onCore } from "./pin.mjs";

// Below the range from which the kernel takes the ports of outgoing connections.
const FIRST_PORT = 20000;
const LAST_PORT = 32700;
const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 5_000;
const KEPT_OUTPUT = 4_000; // characters of a broker's output shown when it fails

let nextPort = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
const running = new Set();
const root = mkdtempSync(path.join(tmpdir(), "millrace-bench-"));
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
  rmSync(root, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));

async function isFree(port) {
  const server = net.createServer();
  const bound = await new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => resolve(true));
  });
  if (bound) await new Promise((resolve) => server.close(resolve));
  return bound;
}

/** A port that no earlier run of this process has used. */
async function takePort() {
  for (let tries = 0; tries < 1_000; tries++) {
    const port = nextPort;
    nextPort = nextPort === LAST_PORT ? FIRST_PORT : nextPort + 1;
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port between ${FIRST_PORT} and ${LAST_PORT}`);
}

async function accepts(port) {
  const socket = net.connect(port, "127.0.0.1");
  const connected = await new Promise((resolve) => {
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
  });
  socket.destroy();
  return connected;
}

/**
 * Starts `peer` (see peers/) and resolves when it accepts connections. `onEnd` is given its directory when it has ended.
 * Returns `{ port, pid, stop }`; rejects with the broker's last words if it ends before that.
 */
export async function startBroker(peer, options, { tls, relayMode, onEnd } = {}) {
  const port = await takePort();
  const directory = path.join(root, String(port));
  mkdirSync(directory);
  const command = onCore(options.pin && 0, peer.command({ port, directory, options, tls, relayMode }));
  const child = spawn(command.file, command.args, { stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let output = "";
  const keep = (chunk) => {
    output = (output + chunk).slice(-KEPT_OUTPUT);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const ended = new Promise((resolve) => {
    child.once("error", (error) => resolve(`${error.message}`));
    child.once("exit", (code, signal) => resolve(`exit ${code ?? signal}`));
  });
  let gone = "";
  ended.then((reason) => {
    gone = reason;
    running.delete(child);
    onEnd?.(directory);
    rmSync(directory, { recursive: true, force: true });
  });

  const stop = async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  };
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await accepts(port))) {
    if (gone || Date.now() > deadline) {
      await stop();
      throw new Error(`${peer.name} does not accept connections (${gone || "time-out"})\n${output}`);
    }
    await delay(10);
  }
  return { port, pid: child.pid, stop };
}
