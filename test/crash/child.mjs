// Starts the broker's process, kills it, and keeps what it said.
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("./broker.mjs", import.meta.url));
const START_MS = 20_000;
const KEPT_LINES = 30;
/** The greeting's line for the first demo device. */
const DEVICE = /mosquitto_sub .*-p (\d+) -i '([^']+)' -u '([^']+)' -P '([^']+)'/;

export class BrokerProcess {
  #options;
  #child;
  #exit;
  #killed = false;
  /** The end of what it wrote to its standard error. */
  lines = [];
  /** With the command line: {port, id, username, password} of the demo device, as the newest greeting says. */
  device;
  /** Called when it ends though nobody killed it. */
  onDeath = () => {};

  /** `options`: {directory, port, level, dist}; `platformPort`: the broker is the command line's, with a second listener. */
  constructor(options) {
    this.#options = options;
  }

  /** Resolves with true when it listens, with false when it was killed before. */
  start(faults) {
    const child = this.#options.platformPort === undefined ? this.#spawnScript(faults) : this.#spawnCommand();
    this.#child = child;
    this.#killed = false;
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (text) => {
      this.lines.push(...text.split("\n").filter((line) => line !== ""));
      this.lines.splice(0, this.lines.length - KEPT_LINES);
      if (text.includes("trapped")) this.onDeath(`the core trapped: ${text.slice(0, 500)}`);
    });
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not started within ${START_MS} ms`)), START_MS);
      this.#exit = new Promise((ended) => {
        child.once("exit", (code, signal) => {
          clearTimeout(timer);
          ended();
          resolve(false);
          if (!this.#killed) this.onDeath(`the broker ended by itself: ${code ?? signal}`);
        });
      });
      const ready = () => {
        clearTimeout(timer);
        resolve(true);
      };
      child.once("message", ready);
      let greeting = "";
      child.stdout?.on("data", (chunk) => {
        greeting += chunk;
        const found = DEVICE.exec(greeting);
        if (found === null) return;
        const [, port, id, username, password] = found;
        this.device = { port: Number(port), id, username, password };
        ready();
      });
    });
  }

  #spawnScript(faults) {
    const options = { ...this.#options, faults };
    return spawn(process.execPath, [SCRIPT, JSON.stringify(options)], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
  }

  #spawnCommand() {
    const { directory, port, platformPort, level, dist } = this.#options;
    const config = join(directory, "broker.json");
    const listeners = [
      { url: `tcp://127.0.0.1:${port}`, profile: "standard" },
      { url: `tcp://127.0.0.1:${platformPort}`, profile: "platform" },
    ];
    writeFileSync(config, JSON.stringify({ listeners, sysInterval: 0, logLevel: "warn" }));
    const flags = ["--config", config, "--data", join(directory, "data"), "--durability", level];
    return spawn(process.execPath, [join(dist, "cli", "main.js"), ...flags], {
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  /** SIGKILL. At once; the promise resolves when it is gone. */
  kill() {
    this.#killed = true;
    this.#child?.kill("SIGKILL");
    return this.#exit;
  }

  /** Turns injected faults on or off. */
  faults(on) {
    if (this.#child?.connected) this.#child.send({ faults: on });
  }
}
