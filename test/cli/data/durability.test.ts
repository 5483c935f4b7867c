// The built executable and what it keeps on disk: levels over a restart, backup and restore, export and import, and what a
// start says of a store it cannot use.
import { once } from "node:events";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { open as openDatabase } from "lmdb";
import mqtt, { type IClientOptions, type IConnackPacket, type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FORMAT_KEY } from "../../../src/store/database/keys.ts";
import { encodeFormat, FORMAT_VERSION } from "../../../src/store/contract/records.ts";
import { type Ended, type Running, Workplace } from "../executable.ts";

const STANDARD = ["--profile", "standard", "--listen", "tcp://localhost:0"];

let workplace: Workplace;
let data: string;
let other: string;
beforeEach(() => {
  workplace = new Workplace();
  data = workplace.data;
  other = join(workplace.directory, "other");
});
afterEach(() => workplace.close());

const millrace = (...args: string[]) => workplace.command(args);

async function succeed(ending: Promise<Ended>): Promise<Ended> {
  const ended = await ending;
  expect([ended.code, ended.stderr]).toEqual([0, expect.not.stringContaining("millrace:")]);
  return ended;
}

async function end({ child, exited }: Running, signal: NodeJS.Signals): Promise<void> {
  child.kill(signal);
  expect(await exited).toBe(signal === "SIGTERM" ? 0 : null);
}

/** A client with what it has received since it connected. */
async function connect(port: number, options: IClientOptions) {
  const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
    protocolVersion: 5,
    reconnectPeriod: 0,
    ...options,
  });
  const received: string[] = [];
  client.on("message", (topic, payload, { retain }) => {
    received.push(`${topic} ${payload}${retain ? " retained" : ""}`);
  });
  client.on("error", () => {});
  const { sessionPresent } = await new Promise<IConnackPacket>((resolve, reject) => {
    client.once("connect", resolve).once("close", () => reject(new Error("the broker refused the client")));
  });
  return { client, received, sessionPresent };
}

const keeper = (port: number) =>
  connect(port, { clientId: "keeper", clean: false, properties: { sessionExpiryInterval: 3_600 } });

async function publish(port: number, ...payloads: string[]): Promise<void> {
  const { client } = await connect(port, {});
  for (const payload of payloads) await client.publishAsync("queue/a", payload, { qos: 1 });
  await client.publishAsync("state", payloads.at(-1) as string, { qos: 1, retain: true });
  await client.endAsync();
}

/** A persistent session that is owed `payloads`, and a retained message with the last of them. */
async function fill(port: number, ...payloads: string[]): Promise<void> {
  const { client } = await keeper(port);
  await client.subscribeAsync("queue/#", { qos: 1 });
  await client.endAsync();
  await publish(port, ...payloads);
}

async function expectKept(port: number, ...payloads: string[]): Promise<MqttClient> {
  const { client, received, sessionPresent } = await keeper(port);
  expect(sessionPresent).toBe(true);
  await client.subscribeAsync("state", { qos: 1 });
  const expected = [
    ...payloads.map((payload) => `queue/a ${payload}`),
    `state ${payloads.at(-1)} retained`,
  ].sort();
  await expect.poll(() => [...received].sort()).toEqual(expected);
  expect(received.filter((text) => text.startsWith("queue"))).toEqual(
    payloads.map((text) => `queue/a ${text}`),
  );
  return client;
}

describe("durability", () => {
  test.each([
    ["power", "SIGTERM"],
    ["power", "SIGKILL"],
    ["process", "SIGTERM"],
    ["process", "SIGKILL"],
  ] as const)("%s keeps what was acknowledged over %s", async (level, signal) => {
    const first = await workplace.start(...STANDARD, "--durability", level);
    expect(first.output.text).toContain(`\nDurability: ${level}, `);
    await fill(first.ports[0], "1", "2", "3");
    await end(first, signal);
    const second = await workplace.start(...STANDARD, "--durability", level);
    await (await expectKept(second.ports[0], "1", "2", "3")).endAsync();
    await end(second, "SIGTERM");
  });

  test("power is the default; the levels share a store; none leaves it alone", {
    timeout: 30_000,
  }, async () => {
    const first = await workplace.start(...STANDARD);
    expect(first.output.text).toContain("\nDurability: power, ");
    await fill(first.ports[0], "1");
    await end(first, "SIGKILL");
    const second = await workplace.start(...STANDARD, "--durability", "process");
    await publish(second.ports[0], "2");
    await end(second, "SIGKILL");
    const third = await workplace.start(...STANDARD, "--durability", "none");
    const { client, sessionPresent } = await keeper(third.ports[0]);
    expect(sessionPresent).toBe(false);
    await client.endAsync();
    await end(third, "SIGTERM");
    const fourth = await workplace.start(...STANDARD);
    await (await expectKept(fourth.ports[0], "1", "2")).endAsync();
  });
});

describe("a store that cannot be used ends the start with 1 and stays as it is", () => {
  const file = () => join(data, "store", "data.mdb");

  async function refused(...args: string[]): Promise<string> {
    const before = existsSync(file()) ? readFileSync(file()) : undefined;
    const { code, stdout, stderr } = await workplace.millrace(["--data", data, ...STANDARD, ...args]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).not.toContain("internal error");
    if (before) expect(readFileSync(file()).equals(before)).toBe(true);
    expect(readdirSync(data)).not.toContain("broker.lock");
    return stderr;
  }

  async function make(): Promise<void> {
    const broker = await workplace.start(...STANDARD);
    await fill(broker.ports[0], "1");
    await end(broker, "SIGTERM");
  }

  test("foreign", async () => {
    mkdirSync(join(data, "store"), { recursive: true, mode: 0o700 });
    writeFileSync(file(), "somebody else's\n".repeat(1_000));
    expect(await refused()).toContain(`millrace: ${file()} is not a Millrace store`);
  });

  test("damaged", async () => {
    await make();
    const bytes = readFileSync(file());
    writeFileSync(file(), bytes.subarray(0, 6_000));
    expect(await refused()).toContain(`millrace: ${file()} is damaged`);
    expect(await refused("--durability", "process")).toContain(`millrace: ${file()} is damaged`);
  });

  test("of a newer version", async () => {
    await make();
    const database = openDatabase<Buffer, Buffer>({
      path: join(data, "store"),
      noSubdir: false,
      keyEncoding: "binary",
      encoding: "binary",
    });
    await database.put(FORMAT_KEY, encodeFormat(FORMAT_VERSION + 1));
    await database.flushed;
    await database.close();
    expect(await refused()).toContain(`millrace: ${file()} was written by a newer Millrace`);
  });

  test("without lmdb; level none needs none", async () => {
    const hook = join(workplace.directory, "hook.mjs");
    const resolver =
      'export const resolve = (name, context, next) => { if (name === "lmdb") throw new Error("not installed"); return next(name, context); };';
    writeFileSync(
      hook,
      `import { register } from "node:module";\nregister(${JSON.stringify(`data:text/javascript,${encodeURIComponent(resolver)}`)});\n`,
    );
    workplace.environment = { NODE_OPTIONS: `--import ${hook}` };
    const text = await refused();
    expect(text).toContain("npm install lmdb");
    expect(text).toContain('durability "none"');
    expect((await workplace.start(...STANDARD, "--durability", "none")).ports).toHaveLength(1);
  });
});

describe("backup and restore", () => {
  test("of a running broker: restored elsewhere, the copy serves the same session", {
    timeout: 30_000,
  }, async () => {
    const config = join(workplace.directory, "m.yaml");
    writeFileSync(
      config,
      "listeners:\n  - {url: 'tcp://localhost:0', profile: standard}\n  - url: tls://localhost:0\n",
    );
    const backup = join(workplace.directory, "backup");
    const first = await workplace.start("--config", config, "--durability", "process");
    await fill(first.ports[0], "1", "2");
    const { stderr } = await succeed(millrace("backup", backup, "--data", data));
    expect(stderr).toBe(`${data} is backed up in ${backup}\n`);
    expect(readdirSync(backup).sort()).toEqual(["data.mdb", "registry", "server.crt", "server.key"]);
    // The broker has gone on; this is not in the copy.
    await publish(first.ports[0], "3");

    await succeed(millrace("restore", backup, "--data", other));
    const second = await workplace.start("--config", config, "--data", other);
    await (await expectKept(second.ports[0], "1", "2")).endAsync();
    await (await expectKept(first.ports[0], "1", "2", "3")).endAsync();
    const devices = (from: string) => succeed(millrace("device", "export", "--data", from));
    expect((await devices(other)).stdout).toBe((await devices(data)).stdout);
    expect(await certificate(second.ports[1])).toBe(await certificate(first.ports[1]));

    const again = await millrace("backup", backup, "--data", data);
    expect([again.code, again.stderr]).toEqual([
      1,
      expect.stringContaining("give a directory that is empty"),
    ]);
    const held = await millrace("restore", backup, "--data", other);
    expect([held.code, held.stderr]).toEqual([1, expect.stringContaining("another broker (process ")]);
    await end(second, "SIGTERM");
    const taken = await millrace("restore", backup, "--data", other);
    expect([taken.code, taken.stderr]).toEqual([1, expect.stringContaining("data.mdb exists")]);
  });

  test("without a broker, after a kill too", async () => {
    const first = await workplace.start(...STANDARD, "--durability", "process");
    await fill(first.ports[0], "1");
    await end(first, "SIGKILL");
    const backup = join(workplace.directory, "backup");
    await succeed(millrace("backup", backup, "--data", data));
    await succeed(millrace("restore", backup, "--data", other));
    const second = await workplace.start(...STANDARD, "--data", other);
    await (await expectKept(second.ports[0], "1")).endAsync();
  });

  test("of nothing is refused, and makes nothing", async () => {
    const backup = join(workplace.directory, "backup");
    const missing = await millrace("backup", backup, "--data", other);
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining("there is no store in")]);
    await workplace.start(...STANDARD, "--durability", "none");
    const none = await millrace("backup", backup, "--data", data);
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining("durability none")]);
    const restored = await millrace("restore", backup, "--data", other);
    expect([restored.code, restored.stderr]).toEqual([1, expect.stringContaining("is not a backup")]);
    expect(existsSync(backup)).toBe(false);
    expect(existsSync(join(other, "store"))).toBe(false);
  });
});

describe("export and import", () => {
  test("round trip: of a running broker, through a pipe, and back to the same lines", {
    timeout: 30_000,
  }, async () => {
    const first = await workplace.start(...STANDARD, "--durability", "process");
    await fill(first.ports[0], "1", "2", "3");
    const { stdout } = await succeed(millrace("export", "--data", data));
    const types = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).type as string);
    expect(types[0]).toBe("millrace");
    expect(types.filter((type) => type === "delivery")).toHaveLength(3);
    expect(types).toEqual(expect.arrayContaining(["session", "subscription", "retained"]));
    expect(readdirSync(data).filter((name) => name.startsWith("exporting"))).toEqual([]);

    const imported = await succeed(workplace.command(["import", "-", "--data", other], stdout));
    expect(imported.stderr).toBe(`${types.length} lines imported into ${other}\n`);
    const file = join(workplace.directory, "lines");
    await succeed(millrace("export", file, "--data", other));
    expect(readFileSync(file, "utf8")).toBe(stdout);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const second = await workplace.start(...STANDARD, "--data", other);
    await (await expectKept(second.ports[0], "1", "2", "3")).endAsync();

    const exists = await millrace("export", file, "--data", data);
    expect([exists.code, exists.stderr]).toEqual([1, expect.stringContaining(`${file} exists`)]);
    const held = await millrace("import", file, "--data", data);
    expect([held.code, held.stderr]).toEqual([1, expect.stringContaining("another broker (process ")]);
    await end(second, "SIGTERM");
    const taken = await millrace("import", file, "--data", other);
    expect([taken.code, taken.stderr]).toEqual([1, expect.stringContaining("data.mdb exists")]);
  });

  test("a wrong line is named, and nothing was imported", async () => {
    const lines = '{"type":"millrace","version":1}\n{"type":"retained","topic":"t"}\n';
    const { code, stderr } = await workplace.command(["import", "-", "--data", other], lines);
    expect([code, stderr]).toEqual([1, expect.stringContaining("nothing was imported: line 2: `message`")]);
    expect(readdirSync(other)).toEqual([]);
    const missing = await millrace("import", join(workplace.directory, "none"), "--data", other);
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining("no such file")]);
    expect(missing.stderr).not.toContain("internal error");
  });

  test("what a killed export left is removed by the next", async () => {
    const first = await workplace.start(...STANDARD);
    await fill(first.ports[0], "1");
    const killed = workplace.launch(["--version"]);
    await killed.exited;
    const left = join(data, `exporting-${killed.child.pid}`);
    mkdirSync(join(left, "store"), { recursive: true });
    copyFileSync(join(data, "store", "data.mdb"), join(left, "store", "data.mdb"));
    await succeed(millrace("export", join(workplace.directory, "lines"), "--data", data));
    expect(existsSync(left)).toBe(false);
  });
});

async function certificate(port: number): Promise<string> {
  const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}
