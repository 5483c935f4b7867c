// Starts the server a test file talks to: this project's broker in this process, or, with MILLRACE_TEST_PEER=mosquitto,
// Mosquitto as a child process, which serves only to check the tests themselves.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, test } from "vitest";
import type { Broker } from "../../src/broker.ts";
import type { BrokerOptions } from "../../src/options.ts";
import { RawClient, type Target } from "./raw-client.ts";
import type { ConnectOptions, Version } from "./wire.ts";

export const PEER = process.env["MILLRACE_TEST_PEER"] === "mosquitto";
/** For what only this project's broker can do or be told. */
export const ours: typeof test = test.skipIf(PEER) as typeof test;

export const V31 = ["3.1", 3] as const;
export const V311 = ["3.1.1", 4] as const;
export const V5 = ["5.0", 5] as const;
/** For `describe.each`: every version, and those that differ only in what 5.0 added. */
export const ALL: (readonly [string, Version])[] = [V31, V311, V5];
export const BOTH: (readonly [string, Version])[] = [V311, V5];

export interface ServerOptions extends BrokerOptions {
  /** Lines for Mosquitto's configuration that come nearest. */
  readonly mosquitto?: readonly string[];
}

let counter = 0;
/** A name no other test of this process uses. */
export function unique(prefix = "t"): string {
  counter += 1;
  return `${prefix}${counter}`;
}

/** Options of a session that outlives its connection; in 3.x the properties are left out. */
export function keptSession(clientId = unique("kept")): ConnectOptions {
  return { clientId, clean: false, properties: { sessionExpiryInterval: 1_000 } };
}

/** Repeats `check` until it holds: for effects that no packet announces. */
export async function eventually(
  check: () => boolean | Promise<boolean>,
  what: string,
  deadlineMs = 5_000,
): Promise<void> {
  // A clock that tests do not move on.
  const end = performance.now() + deadlineMs;
  while (!(await check())) {
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

export class TestServer {
  readonly #options: () => ServerOptions;
  readonly #clients: RawClient[] = [];
  #broker: Broker | undefined;
  #peer: ChildProcess | undefined;
  #directory: string | undefined;
  port = 0;

  /** A function is asked at each start. */
  constructor(options: ServerOptions | (() => ServerOptions) = {}) {
    this.#options = typeof options === "function" ? options : () => options;
  }

  get broker(): Broker {
    if (!this.#broker) throw new Error("the server is not this project's broker");
    return this.#broker;
  }

  async start(): Promise<void> {
    const { mosquitto = [], ...options } = this.#options();
    if (!PEER) {
      const { createBroker } = await import("../../src/broker.ts");
      this.#broker = await createBroker({ profile: "standard", listeners: [{ port: 0 }], ...options });
      this.port = this.#broker.listeners[0]?.port ?? 0;
      return;
    }
    this.port = await freePort();
    this.#directory = mkdtempSync(join(tmpdir(), "mosquitto-"));
    const file = join(this.#directory, "mosquitto.conf");
    const lines = [
      `listener ${this.port} 127.0.0.1`,
      "allow_anonymous true",
      "set_tcp_nodelay true",
      "retain_available true",
    ];
    writeFileSync(file, `${[...lines, ...mosquitto].join("\n")}\n`);
    this.#peer = spawn("mosquitto", ["-c", file], {
      stdio: process.env["MILLRACE_TEST_TRACE"] ? "inherit" : "ignore",
    });
    await eventually(() => accepts(this.port), "mosquitto listens");
  }

  /** Resolves when somebody has subscribed to `filter`. */
  subscribed(filter: string): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.broker.on("client.subscribed", (event) => {
        if (event.filter !== filter) return;
        stop();
        resolve();
      });
    });
  }

  async stop(): Promise<void> {
    this.drop();
    await this.#broker?.close();
    this.#broker = undefined;
    if (this.#peer) {
      const gone = new Promise((resolve) => this.#peer?.once("exit", resolve));
      this.#peer.kill("SIGKILL");
      await gone;
      this.#peer = undefined;
    }
    if (this.#directory) rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Closes every client opened since the last call. */
  drop(): void {
    for (const client of this.#clients.splice(0)) client.destroy();
  }

  /** A connection on which nothing has been sent. */
  async open(version: Version, target: Partial<Target> = {}): Promise<RawClient> {
    const client = await RawClient.open({ port: this.port, ...target }, version);
    this.#clients.push(client);
    return client;
  }

  /** A connected client; the refusal of its CONNECT is an error. */
  async connect(
    version: Version,
    options: ConnectOptions = {},
    target: Partial<Target> = {},
  ): Promise<RawClient> {
    const client = await this.open(version, target);
    await client.connect({ clientId: unique("client"), ...options });
    if (client.connack.reason !== 0)
      throw new Error(`CONNECT refused: 0x${client.connack.reason.toString(16)}`);
    return client;
  }
}

/** One server for all tests of a file; the clients of each test are closed behind it, unless tests run concurrently. */
export function useServer(options: ServerOptions = {}, { concurrent = false } = {}): TestServer {
  const server = new TestServer(options);
  beforeAll(() => server.start());
  if (!concurrent) afterEach(() => server.drop());
  afterAll(() => server.stop());
  return server;
}
