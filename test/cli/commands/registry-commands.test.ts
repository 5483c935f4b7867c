// `millrace product` and `millrace device`, as a user runs them: on a data directory, and through a running broker, where a
// change holds at once for devices that are online.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import mqtt, {
  type IClientOptions,
  type IConnackPacket,
  type IDisconnectPacket,
  type MqttClient,
} from "mqtt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { signedCredentials } from "../../../src/platform/demo.ts";
import { type Ended, MAIN, type Running, Workplace } from "../executable.ts";

// The same device signs in again and again.
const PLATFORM = ["--listen", "tcp://localhost:0", "--log-level", "warn", "--rate-limits", "off"];

let workplace: Workplace;
let data: string;
beforeEach(() => {
  workplace = new Workplace();
  data = workplace.data;
});
afterEach(() => workplace.close());

const millrace = (...args: string[]) => workplace.command([...args, "--data", data]);

async function succeed(...args: string[]): Promise<Ended> {
  const ended = await millrace(...args);
  expect([args, ended.code, ended.stderr]).toEqual([args, 0, expect.not.stringContaining("millrace:")]);
  return ended;
}

const json = async (...args: string[]) => JSON.parse((await succeed(...args, "--json")).stdout);

async function fail(code: number, message: RegExp, ...args: string[]): Promise<Ended> {
  const ended = await millrace(...args);
  expect([args, ended.code]).toEqual([args, code]);
  expect(ended.stderr).toMatch(message);
  return ended;
}

type Triple = { productKey: string; deviceName: string; deviceSecret: string };

/** A device signs in; rejects with the CONNACK's code where it is refused. */
async function signIn(
  port: number,
  device: Triple,
  version: 4 | 5,
  options: IClientOptions = {},
): Promise<MqttClient> {
  const { clientId, username, password } = signedCredentials(device, { securemode: 3 });
  return mqtt.connectAsync(
    `mqtt://127.0.0.1:${port}`,
    { clientId, username, password, protocolVersion: version, reconnectPeriod: 0, ...options },
    false,
  );
}

function event<T>(client: MqttClient, name: "connect" | "disconnect" | "close"): Promise<T> {
  return new Promise((resolve) => client.once(name, resolve as () => void));
}

/** The commands, the same in both worlds. */
function lifeOfADevice(): void {
  test("a product and a device, from creation to deletion", { timeout: 60_000 }, async () => {
    const product = await json(
      ...["product", "create", "--product-key", "a1x", "--product-secret", "ps", "--name", "Pumps"],
      ...["--node-type", "gateway", "--data-format", "raw", "--dynamic-registration", "--free-topics"],
    );
    expect(product).toMatchObject({
      productKey: "a1x",
      productSecret: "ps",
      name: "Pumps",
      nodeType: "gateway",
      authType: "secret",
      dataFormat: "raw",
      dynamicRegistration: true,
      freeTopics: true,
      devices: 0,
      hasModel: false,
    });
    const updated = await json("product", "update", "a1x", "--no-free-topics", "--name", "Pipes");
    expect(updated).toMatchObject({ name: "Pipes", freeTopics: false, dynamicRegistration: true });
    const classes = await json("product", "topic", "add", "a1x", "/user/cfg/#", "SUB");
    expect(classes).toContainEqual({ suffix: "/user/cfg/#", permission: "SUB" });
    await succeed("product", "topic", "delete", "a1x", "/user/get");
    expect((await succeed("product", "topic", "list", "a1x")).stdout).toBe(
      "topic  PUB  /user/update\ntopic  PUB  /user/update/error\ntopic  SUB  /user/cfg/#\n",
    );
    const model = join(workplace.directory, "tsl.json");
    writeFileSync(model, '{"properties":[]}');
    expect(await json("product", "model", "a1x", model)).toMatchObject({ hasModel: true });

    const device = await json("device", "create", "a1x", "__proto__", "--nickname", "Pump 1");
    expect(device).toMatchObject({ deviceName: "__proto__", nickname: "Pump 1", status: "UNACTIVE" });
    expect(device.deviceSecret).toMatch(/^[0-9a-f]{32}$/);
    expect(await json("device", "create", "a1x", "devB", "--device-secret", "s")).toMatchObject({
      deviceSecret: "s",
    });
    await succeed("device", "disable", "a1x", "__proto__");
    expect(await json("device", "show", "a1x", "__proto__")).toEqual({
      ...device,
      status: "DISABLE",
      ota: null,
    });
    expect((await succeed("device", "show", "a1x", "devB")).stdout).toMatch(/^deviceSecret +s$/m);
    await succeed("device", "enable", "a1x", "__proto__");
    await succeed("device", "reset", "a1x", "__proto__");
    const { stdout } = await succeed("device", "list", "a1x");
    expect(stdout).toBe(
      `${"__proto__".padEnd(32)}  UNACTIVE  -  Pump 1\n${"devB".padEnd(32)}  UNACTIVE  -\n`,
    );
    expect(await json("device", "list", "a1x")).toMatchObject([device, { deviceName: "devB" }]);
    expect((await succeed("device", "export", "a1x")).stdout).toBe(
      "productKey,deviceName,deviceSecret,productSecret,nickname\n" +
        `a1x,__proto__,${device.deviceSecret},ps,Pump 1\na1x,devB,s,ps,\n`,
    );
    expect(await json("product", "list")).toContainEqual(
      expect.objectContaining({ productKey: "a1x", devices: 2 }),
    );
    await succeed("device", "delete", "a1x", "devB");
    await fail(1, /has devices \(1\).*--with-devices/, "product", "delete", "a1x");
    await succeed("product", "delete", "a1x", "--with-devices");
    await fail(1, /no such product.*product list/, "product", "show", "a1x");
  });

  test("errors name the field and the remedy; nothing but success ends with 0", {
    timeout: 60_000,
  }, async () => {
    await succeed("product", "create", "--product-key", "a1x");
    await fail(1, /productKey: .*exists already/, "product", "create", "--product-key", "a1x");
    await fail(2, /nodeType: "robot": use device or gateway/, "product", "create", "--node-type", "robot");
    await fail(2, /nothing is to be changed/, "product", "update", "a1x");
    await fail(2, /contradict/, "product", "update", "a1x", "--free-topics", "--no-free-topics");
    await fail(2, /wildcards need the permission SUB/, "product", "topic", "add", "a1x", "/user/#", "ALL");
    await fail(2, /use PUB, SUB or ALL/, "product", "topic", "add", "a1x", "/user/x", "pub");
    await fail(1, /no topic class "\/user\/x"/, "product", "topic", "delete", "a1x", "/user/x");
    await fail(1, /cannot be read/, "product", "model", "a1x", join(workplace.directory, "none.json"));
    await fail(2, /deviceName: "abc": use 4 to 32/, "device", "create", "a1x", "abc");
    await fail(2, /nickname: "x": use 4 to 64/, "device", "create", "a1x", "devA", "--nickname", "x");
    await fail(1, /no such product/, "device", "create", "a1nix", "devA");
    await fail(1, /no such product/, "device", "list", "a1nix");
    await fail(1, /no device "devA"; millrace device list a1x/, "device", "disable", "a1x", "devA");
    await fail(2, /DN is missing/, "device", "show", "a1x");
    await fail(2, /one too many/, "device", "show", "a1x", "devA", "devB");
  });

  test("what was exported is imported elsewhere, as CSV and as JSON", { timeout: 60_000 }, async () => {
    const csv =
      "productKey,deviceName,deviceSecret,productSecret,nickname\n" +
      'a1x,devA,"a ""b"", c",ps,"Pump, 1"\na1x,devB,s2,ps,\na1y,devA,s3,p2,\n';
    const file = join(workplace.directory, "devices.csv");
    writeFileSync(file, `\ufeff${csv.replaceAll("\n", "\r\n")}`);
    const { stderr } = await succeed("device", "import", file);
    expect(stderr).toBe("3 rows read\ndevices imported: 3, products created: 2\n");
    const [first, second] = [
      await succeed("device", "export", "a1x"),
      await succeed("device", "export", "a1y"),
    ];
    expect(first.stdout + second.stdout.split("\n").slice(1).join("\n")).toBe(csv);
    for (const flags of [[], ["--json"]]) {
      const { stdout } = await succeed("device", "export", "a1x", ...flags);
      const other = join(workplace.directory, `other${flags.length}`);
      const there = await workplace.command(["device", "import", "-", "--data", other], stdout);
      expect([there.code, there.stderr]).toEqual([0, expect.stringContaining("devices imported: 2")]);
      expect((await workplace.command(["device", "export", "--data", other])).stdout).toBe(first.stdout);
    }
    expect(await json("device", "import", file)).toEqual({ bad: [], added: 0, unchanged: 3, products: 0 });
  });

  test("an import with bad rows imports nothing and names every one", { timeout: 60_000 }, async () => {
    await succeed("product", "create", "--product-key", "a1x");
    const file = join(workplace.directory, "devices.csv");
    writeFileSync(
      file,
      "productKey,deviceName,deviceSecret\na1x,devA,s\na1x,x,s\na1x,devB\na1z,devA,s\na1x,devA,s\na1x\n",
    );
    const bad = await fail(
      1,
      /nothing was imported: 4 of 6 rows are bad; correct them/,
      "device",
      "import",
      file,
    );
    expect(bad.stderr).toMatch(/^line 3: deviceName: .*4 to 32/m);
    expect(bad.stderr).toMatch(/^line 4: has 2 fields, the header has 3$/m);
    expect(bad.stderr).toMatch(/^line 6: deviceName: "devA" stands in an earlier line too$/m);
    // In the order of the file, whoever has found what is wrong.
    expect([...bad.stderr.matchAll(/^line (\d+):/gm)].map(([, line]) => line)).toEqual(["3", "4", "6", "7"]);
    const { code, stdout } = await millrace("device", "import", file, "--json");
    expect(code).toBe(1);
    const report = JSON.parse(stdout);
    expect(report.bad.map(({ line }: { line: number }) => line)).toEqual([3, 4, 6, 7]);
    expect(report.error).toContain("nothing was imported");
    expect((await json("product", "list")).map((one: Triple) => one.productKey)).not.toContain("a1z");
    expect(await json("device", "list", "a1x")).toEqual([]);
    writeFileSync(file, "productKey,deviceName,deviceSecret\na1x,x,s\n");
    const one = await fail(
      1,
      /nothing was imported: 1 of 1 row is bad; correct it and/,
      "device",
      "import",
      file,
    );
    expect(one.stderr).toMatch(/^1 row read$/m);
    await fail(1, /f\.csv: cannot be read/, "device", "import", join(workplace.directory, "f.csv"));
  });
}

describe("on a data directory without a broker", () => {
  lifeOfADevice();

  test("reading makes no data directory", async () => {
    await fail(1, /there is no data directory/, "product", "list");
    await fail(1, /there is no data directory/, "device", "create", "a1x", "devA");
    expect(existsSync(data)).toBe(false);
  });

  test("commands at once wait for each other", { timeout: 60_000 }, async () => {
    await succeed("product", "create", "--product-key", "a1x");
    const names = ["devA", "devB", "devC", "devD"];
    const ended = await Promise.all(
      names.map((name) => workplace.millrace(["device", "create", "a1x", name, "--data", data])),
    );
    expect(ended.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(await json("device", "list", "a1x")).toHaveLength(4);
  });

  test("a broker that starts later knows them, and makes no demo", { timeout: 60_000 }, async () => {
    await succeed("product", "create", "--product-key", "a1x");
    const device = await json("device", "create", "a1x", "devA");
    const { ports } = await workplace.start(...PLATFORM);
    await (await signIn(ports[0], device, 4)).endAsync();
    expect((await json("product", "list")).map((one: Triple) => one.productKey)).toEqual(["a1x"]);
  });
});

describe("through a running broker", () => {
  beforeEach(async () => {
    await workplace.start(...PLATFORM);
  });
  lifeOfADevice();
});

describe("devices of a running broker", () => {
  let broker: Running;
  let port: number;
  let device: Triple;
  beforeEach(async () => {
    broker = await workplace.start(...PLATFORM);
    [port] = broker.ports;
    await succeed("product", "create", "--product-key", "a1x");
    device = await json("device", "create", "a1x", "devA");
  });

  test("[AUTH-14] [STATUS-2] show when they come and go", { timeout: 60_000 }, async () => {
    const client = await signIn(port, device, 5);
    const online = await json("device", "show", "a1x", "devA");
    expect(online).toMatchObject({ status: "ONLINE", protocolFamily: "5", remoteAddress: "127.0.0.1" });
    expect(online.activatedAt).not.toBeNull();
    await client.endAsync();
    await expect.poll(() => json("device", "show", "a1x", "devA")).toMatchObject({ status: "OFFLINE" });
    broker.child.kill("SIGTERM");
    await broker.exited;
    const offline = await json("device", "show", "a1x", "devA");
    expect(offline).toMatchObject({ status: "OFFLINE", lastOnlineAt: online.lastOnlineAt });
    expect(Date.parse(offline.lastOfflineAt)).toBeGreaterThanOrEqual(Date.parse(offline.lastOnlineAt));
  });

  test.each(["disable", "reset", "delete"])(
    "[AUTH-13] %s disconnects at once",
    { timeout: 60_000 },
    async (verb) => {
      const five = await signIn(port, device, 5);
      const told = event<IDisconnectPacket>(five, "disconnect");
      await succeed("device", verb, "a1x", "devA");
      expect((await told).reasonCode).toBe(0x98);
      const again = signIn(port, device, 5);
      if (verb === "reset") await (await again).endAsync();
      else await expect(again).rejects.toMatchObject({ code: verb === "disable" ? 0x8a : 0x86 });

      const other = await json("device", "create", "a1x", "devB");
      const three = await signIn(port, other, 4);
      const closed = event(three, "close");
      await succeed("device", verb, "a1x", "devB");
      await closed;
      if (verb !== "reset")
        await expect(signIn(port, other, 4)).rejects.toMatchObject({ code: verb === "disable" ? 5 : 4 });
    },
  );

  test("[AUTH-13] keep what is queued while disabled, and lose it when deleted", {
    timeout: 60_000,
  }, async () => {
    const topic = "/a1x/devA/user/get";
    const persistent = { clean: false } as const;
    const first = await signIn(port, device, 4, persistent);
    await first.subscribeAsync(topic, { qos: 1 });
    await succeed("device", "disable", "a1x", "devA");
    await succeed("publish", topic, "while disabled", "-q", "1");
    await succeed("device", "enable", "a1x", "devA");
    const comeBack = async () => {
      const { clientId, username, password } = signedCredentials(device, { securemode: 3 });
      const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
        ...{ clientId, username, password, protocolVersion: 4, reconnectPeriod: 0 },
        ...persistent,
      });
      const received: string[] = [];
      client.on("message", (_, payload) => received.push(String(payload)));
      const { sessionPresent } = await event<IConnackPacket>(client, "connect");
      return { client, received, sessionPresent };
    };
    const second = await comeBack();
    expect(second.sessionPresent).toBe(true);
    await expect.poll(() => second.received).toEqual(["while disabled"]);
    await succeed("device", "delete", "a1x", "devA");
    await succeed("device", "create", "a1x", "devA", "--device-secret", device.deviceSecret);
    const third = await comeBack();
    expect(third.sessionPresent).toBe(false);
    await third.client.endAsync();
  });

  test("[TOPIC-2] use a new topic class at once", { timeout: 60_000 }, async () => {
    const client = await signIn(port, device, 4);
    const topic = "/a1x/devA/user/new";
    const subscribe = async () => (await client.subscribeAsync(topic))[0].qos;
    await expect(subscribe()).rejects.toThrow();
    await succeed("product", "topic", "add", "a1x", "/user/new", "ALL");
    expect(await subscribe()).toBe(0);
    await client.endAsync();
  });

  test("sign in from the moment an import of them ends; others do all the time", {
    timeout: 60_000,
  }, async () => {
    const rows = Array.from({ length: 20_000 }, (_, i) => `a1x,dev-${i},s${i}\n`).join("");
    const file = join(workplace.directory, "many.csv");
    writeFileSync(file, `productKey,deviceName,deviceSecret\n${rows}`);
    const importing = millrace("device", "import", file);
    let ended = false;
    importing.finally(() => {
      ended = true;
    });
    let signedIn = 0;
    while (!ended) {
      await (await signIn(port, device, 4)).endAsync();
      signedIn++;
    }
    expect((await importing).stderr).toContain("devices imported: 20000");
    expect(signedIn).toBeGreaterThan(0);
    const last = { productKey: "a1x", deviceName: "dev-19999", deviceSecret: "s19999" };
    await (await signIn(port, last, 4)).endAsync();
  });

  test("an import that is killed is none, and is in nobody's way", { timeout: 60_000 }, async () => {
    const importing = spawn(process.execPath, [MAIN, "device", "import", "-", "--data", data], {
      stdio: ["pipe", "ignore", "pipe"],
    });
    importing.stdin.on("error", () => {});
    importing.stdin.write("productKey,deviceName,deviceSecret\na1x,devB,s\n");
    // It tells of its progress: it has begun, and another one is refused.
    await once(importing.stderr, "data");
    const second = () =>
      workplace.command(["device", "import", "-", "--data", data], "productKey,deviceName,deviceSecret\n");
    expect((await second()).stderr).toContain("another import is under way");
    importing.kill("SIGKILL");
    await expect.poll(async () => (await second()).code, { timeout: 20_000 }).toBe(0);
    expect((await json("device", "list", "a1x")).map((one: Triple) => one.deviceName)).toEqual(["devA"]);
  });

  test("a broker of the standard profile keeps the registry too", { timeout: 60_000 }, async () => {
    broker.child.kill("SIGTERM");
    await broker.exited;
    await workplace.start("--profile", "standard", "--listen", "tcp://localhost:0", "--durability", "none");
    await succeed("device", "disable", "a1x", "devA");
    expect(await json("device", "show", "a1x", "devA")).toMatchObject({ status: "DISABLE" });
    expect(readdirSync(data)).not.toContain("devices.json");
  });
});
