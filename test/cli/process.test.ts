// The built executable as a process: exit codes, the printed commands, signals, the data directory.
import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { promisify } from "node:util";
import mqtt, { type IDisconnectPacket, type IPublishPacket, type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { selfSignedCertificate } from "../../src/transport/tls/certificate.ts";
import { MAIN, Workplace } from "./executable.ts";

const MOSQUITTO = spawnSync("mosquitto_sub", ["--help"]).error === undefined;
if (!MOSQUITTO) console.warn("left out: the printed commands are not run, mosquitto_sub is not installed");

let directory: string;
let data: string;
let workplace: Workplace;

beforeEach(() => {
  workplace = new Workplace();
  ({ directory, data } = workplace);
});
afterEach(() => workplace.close());

const run = promisify(execFile);
const start = (...args: string[]) => workplace.start(...args);
const millrace = (...args: string[]) => workplace.millrace(args);

describe("exit codes", () => {
  test("0: version, help, a valid configuration", async () => {
    expect(await millrace("--version")).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
    expect(await millrace("--help")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("--listen URL"),
    });
    const check = await millrace("--check", "--data", data);
    expect(check).toMatchObject({ code: 0, stdout: expect.stringContaining("  auto://localhost:1883  ") });
    expect(readdirSync(directory)).toEqual([]);
  });

  test("1: no broker to publish through", async () => {
    const { code, stderr } = await millrace("publish", "t", "p", "--data", data);
    expect([code, stderr]).toEqual([1, expect.stringContaining("no broker runs on the data directory")]);
  });

  test("1: port in use", async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
    const { port } = holder.address() as { port: number };
    const { code, stderr } = await millrace("--data", data, "--listen", `tcp://127.0.0.1:${port}`);
    expect(code).toBe(1);
    expect(stderr).toContain(`${port}`);
    expect(stderr).toContain("--listen");
    expect(readdirSync(data)).not.toContain("broker.lock");
    holder.close();
  });

  test("2: wrong flag, wrong configuration, each with a suggestion", async () => {
    expect(await millrace("--anonymos")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("did you mean --anonymous?"),
    });
    const config = join(directory, "m.yaml");
    writeFileSync(config, "profile: standard\nlimits: {sesions: 1}\n");
    const { code, stderr } = await millrace("--config", config);
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining(`${config}:2: limits.sesions: unknown key; did you mean sessions?`),
    ]);
  });
});

describe("the printed commands", () => {
  test.skipIf(!MOSQUITTO)("work as they are, pasted into a shell", { timeout: 30_000 }, async () => {
    const { output } = await start("--listen", "auto://localhost:0", "--listen", "tls://localhost:0");
    await expect.poll(() => output.text).toContain("\nmosquitto_pub ");
    const commands = output.text.split("\n").filter((line) => /^(mosquitto_|npx )/.test(line));
    const [subscribe, publish, send] = commands.map((line) =>
      line.replace(/^npx millrace/, `'${process.execPath}' '${MAIN}'`),
    );
    const subscriber = spawn("sh", ["-c", `exec ${subscribe}`], { stdio: ["ignore", "pipe", "inherit"] });
    workplace.children.push(subscriber);
    let received = "";
    subscriber.stdout.setEncoding("utf8").on("data", (piece) => {
      received += piece;
    });
    // Nothing tells when the subscription stands, so the message is sent until one arrives.
    await expect
      .poll(
        async () => {
          await run("sh", ["-c", publish]);
          return received;
        },
        { timeout: 15_000, interval: 100 },
      )
      .toMatch(/^hello from the server\n/);
    await run("sh", ["-c", send]);
    // One connection per device [CONN-1]: the second device has not taken the first one's place.
    expect(subscriber.exitCode).toBeNull();
  });
});

describe("millrace publish", () => {
  test("sends every property, and fails where the broker refuses", async () => {
    const { ports } = await start("--profile", "standard", "--listen", "tcp://localhost:0");
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${ports[0]}`, { protocolVersion: 5 });
    const arrived = nextMessage(client);
    await client.subscribeAsync("a/#", { qos: 2 });
    const flags = ["--qos", "1", "--user-property", "k=1", "--user-property", "k=2", "--response-topic", "r"];
    flags.push(
      "--correlation-data",
      "AAE=",
      "--message-expiry",
      "60",
      "--content-type",
      "text/plain",
      "--payload-format",
      "1",
    );
    expect(await millrace("publish", "a/b", "hällo", ...flags, "--data", data)).toMatchObject({
      code: 0,
      stdout: "",
    });
    const [topic, payload, packet] = await arrived;
    expect([topic, String(payload), packet.qos, packet.retain]).toEqual(["a/b", "hällo", 1, false]);
    expect(packet.properties).toMatchObject({
      userProperties: { k: ["1", "2"] },
      responseTopic: "r",
      correlationData: Buffer.from([0, 1]),
      contentType: "text/plain",
      payloadFormatIndicator: true,
      messageExpiryInterval: expect.toSatisfy((left: number) => left > 0 && left <= 60),
    });
    await client.endAsync();
    const refused = await millrace("publish", "a/#", "p", "--data", data);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("the broker refused")]);
  });

  test("--retain keeps the message", async () => {
    const { ports } = await start("--profile", "standard", "--listen", "tcp://localhost:0");
    expect((await millrace("publish", "kept", "v", "--retain", "--data", data)).code).toBe(0);
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${ports[0]}`);
    const arrived = nextMessage(client);
    await client.subscribeAsync("kept");
    const [, payload, packet] = await arrived;
    expect([String(payload), packet.retain]).toEqual(["v", true]);
    await client.endAsync();
  });
});

describe("signals", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s ends with 0; clients are told, the directory is free",
    async (signal) => {
      const { child, exited, ports } = await start("--profile", "standard", "--listen", "tcp://localhost:0");
      const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${ports[0]}`, {
        protocolVersion: 5,
        reconnectPeriod: 0,
      });
      client.on("error", () => {});
      const told = new Promise<IDisconnectPacket>((resolve) => client.once("disconnect", resolve));
      child.kill(signal);
      expect((await told).reasonCode).toBe(0x8b);
      expect(await exited).toBe(0);
      expect(readdirSync(data)).toEqual(["store"]);
      await client.endAsync(true);
    },
  );

  test("SIGHUP takes new users and certificates; clients stay", async () => {
    const users = join(directory, "users");
    const config = join(directory, "m.yaml");
    const passwd = (user: string) => {
      const { status } = spawnSync(process.execPath, [MAIN, "passwd", users, user, "--password-stdin"], {
        input: "pw\n",
      });
      expect(status).toBe(0);
    };
    const certify = async () => {
      const { key, cert } = await selfSignedCertificate();
      writeFileSync(join(directory, "key"), key);
      writeFileSync(join(directory, "cert"), cert);
    };
    passwd("ann");
    await certify();
    const text = "profile: standard\npasswordFile: users\ntls: {key: key, cert: cert}\nlisteners:\n";
    writeFileSync(
      config,
      `${text}  - url: tcp://localhost:0\n    anonymous: false\n  - url: tls://localhost:0\n`,
    );
    const { child, output, ports } = await start("--config", config);
    const url = `mqtt://127.0.0.1:${ports[0]}`;
    const as = (username: string) =>
      mqtt.connectAsync(url, { username, password: "pw", reconnectPeriod: 0 }, false);
    const ann = await as("ann");
    await expect(as("bob")).rejects.toThrow();
    const before = await fingerprint(ports[1]);

    passwd("bob");
    await certify();
    child.kill("SIGHUP");
    await expect.poll(() => output.log).toContain("configuration reloaded");
    await (await as("bob")).endAsync();
    expect(await fingerprint(ports[1])).not.toBe(before);
    expect(ann.connected).toBe(true);
    await ann.endAsync();
  });
});

describe("one data directory, one broker", () => {
  const flags = ["--profile", "standard", "--listen", "tcp://localhost:0"];

  test("of four started at once one runs, three are told why", async () => {
    const started = Array.from({ length: 4 }, () => workplace.launch(["--data", data, ...flags]));
    await expect
      .poll(() => started.filter(({ child }) => child.exitCode === 1).length, { timeout: 12_000 })
      .toBe(3);
    await expect
      .poll(() => started.filter(({ output }) => output.text.includes("listens on")).length, {
        timeout: 12_000,
      })
      .toBe(1);
    for (const { output, child } of started) {
      if (child.exitCode === 1) expect(output.log).toContain("another broker (process ");
    }
  });

  test("a killed broker leaves nothing in the way of the next", async () => {
    const first = await start(...flags);
    first.child.kill("SIGKILL");
    await first.exited;
    expect(readdirSync(data)).toContain("broker.lock");
    await start(...flags);
    expect((await millrace("publish", "t", "p", "--data", data)).code).toBe(0);
  });
});

function nextMessage(client: MqttClient): Promise<[string, Buffer, IPublishPacket]> {
  return new Promise((resolve) => client.once("message", (...message) => resolve(message)));
}

async function fingerprint(port: number): Promise<string> {
  const socket: TLSSocket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}
