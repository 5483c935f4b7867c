// Starts the broker's process, kills it, and keeps what it said.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("./broker.mjs", import.meta.url));
const START_MS = 20_000;
const KEPT_LINES = 30;

export class BrokerProcess {
  #options;
  #child;
  #exit;
  #killed = false;
  /** The end of what it wrote to its standard error. */
  lines = [];
  /** Called when it ends though nobody killed it. */
  onDeath = () => {};

  constructor(options) {
    this.#options = options;
  }

  /** Resolves with true when it listens, with false when it was killed before. */
  start(faults) {
    const options = { ...this.#options, faults };
    const child = spawn(process.execPath, [SCRIPT, JSON.stringify(options)], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
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
      child.once("message", () => {
        clearTimeout(timer);
        resolve(true);
      });
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
