// What a careful user meets when something is not as it should be: the text names field and remedy, the exit code is not 0, and
// nothing prints a stack.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { testCertificate } from "../support/certificate.ts";
import { type Ended, type Launched, MAIN, type Running, Workplace } from "./executable.ts";

const PLATFORM = ["--listen", "tcp://localhost:0", "--log-level", "warn"];
const PK = "a1EXAMPLE01";

let workplace: Workplace;
let data: string;
beforeEach(() => {
  workplace = new Workplace();
  data = workplace.data;
});
afterEach(() => workplace.close());

const millrace = (...args: string[]): Promise<Ended> => workplace.command([...args, "--data", data]);
const launch = (...args: string[]): Launched => workplace.launch([...args, "--data", data]);

async function succeed(...args: string[]): Promise<Ended> {
  const ended = await millrace(...args);
  expect([args, ended.code, ended.stderr]).toEqual([args, 0, expect.not.stringMatching(/millrace:|Warning/)]);
  return ended;
}

async function fail(code: number, message: RegExp, ...args: string[]): Promise<Ended> {
  const ended = await millrace(...args);
  expect([args, ended.code, ended.stdout]).toEqual([args, code, ""]);
  expect(ended.stderr).toMatch(message);
  expect(ended.stderr).not.toMatch(/\n +at /);
  return ended;
}

async function startBroker(): Promise<Running> {
  const running = await workplace.start(...PLATFORM);
  await succeed("product", "create", "--product-key", PK);
  await succeed("device", "create", PK, "pump1");
  return running;
}

test("a feed that ends because the broker was stopped has failed", { timeout: 60_000 }, async () => {
  const { child } = await startBroker();
  const feeds = [
    launch("upstream", "--count", "1000"),
    launch("log", "--follow"),
    launch("log", "--follow", "--json"),
  ];
  // A refused call stands in the log: the feeds are open when it has come.
  await fail(1, /OFFLINE/, "rrpc", PK, "pump1", "x");
  for (const feed of feeds.slice(1))
    await vi.waitFor(() => expect(feed.output.text).toContain("RRpc"), 10_000);
  // And this one, when it has a notice of a change.
  await vi.waitFor(async () => {
    await succeed("device", "disable", PK, "pump1");
    expect(feeds[0].output.text).toContain("lifecycle");
  }, 10_000);
  child.kill("SIGTERM");
  for (const { exited, output } of feeds) {
    expect(await exited).toBe(1);
    expect(output.log).toBe("millrace: the broker was stopped: start it, and follow it again\n");
  }
});

test("a product that is not there is named, not its device; nothing waits for it", {
  timeout: 60_000,
}, async () => {
  await startBroker();
  const missing = /productKey: "nope": there is no such product; millrace product list shows them/;
  await fail(1, missing, "rrpc", "nope", "pump1", "x");
  await fail(1, missing, "shadow", "get", "nope", "pump1");
  await fail(1, missing, "shadow", "update", "nope", "pump1", "{}");
  await fail(1, missing, "upstream", "--product", "nope");
  await fail(1, missing, "device", "export", "nope");
  await fail(1, /deviceName: .*"pump2".*device list/, "rrpc", PK, "pump2", "x");
});

test("many products and devices, through the broker; who has read enough may go", {
  timeout: 60_000,
}, async () => {
  await workplace.start(...PLATFORM);
  const rows = Array.from({ length: 4_000 }, (_, i) => `a1MANY${i % 25},device${i},secret${i}`);
  const file = join(workplace.directory, "many.csv");
  writeFileSync(file, ["productKey,deviceName,deviceSecret", ...rows, ""].join("\n"));
  await succeed("device", "import", file);
  const { stdout } = await succeed("device", "export");
  expect(stdout.trim().split("\n").length).toBe(4_003); // header and demo devices
  for (const args of [
    ["device", "export"],
    ["device", "list", "a1MANY1", "--json"],
    ["product", "list"],
  ]) {
    const child = spawn(process.execPath, [MAIN, ...args, "--data", data]);
    let log = "";
    child.stderr.setEncoding("utf8").on("data", (text) => {
      log += text;
    });
    child.stdout.destroy();
    expect([args, ...(await once(child, "close"))]).toEqual([args, 0, null]);
    expect(log).not.toMatch(/millrace:|at /);
  }
});

test.skipIf(process.platform !== "linux")(
  "what cannot be written is told, not thrown",
  { timeout: 60_000 },
  async () => {
    await succeed("product", "create", "--product-key", PK);
    const full = (...args: string[]) => workplace.millrace([...args, "--data", data], undefined, "/dev/full");
    for (const args of [
      ["product", "list"],
      ["product", "list", "--json"],
      ["device", "export"],
    ]) {
      const { code, stderr } = await full(...args);
      expect([args, code, stderr]).toEqual([
        args,
        1,
        expect.stringMatching(/^millrace: standard output: cannot be written: ENOSPC[^\n]*\n$/m),
      ]);
      expect(stderr).not.toMatch(/\n +at /);
    }
    for (const args of [["device", "import", "-"], ["product", "create"], ["start"]])
      expect(await workplace.millrace([...args, "--data", "/proc/millrace"], "")).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^millrace: data directory \/proc\/millrace cannot be used: ENOENT/),
      });
    const file = join(workplace.directory, "a-file");
    writeFileSync(file, "");
    for (const args of [["log"], ["log", "--json"]])
      expect(await workplace.millrace([...args, "--data", file])).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(
          /^millrace: the run log of data directory \S+ cannot be read: ENOTDIR[^\n]*\n$/,
        ),
      });
  },
);

test("what others have named moves no cursor on a terminal", { timeout: 60_000 }, async () => {
  const file = join(workplace.directory, "evil.csv");
  writeFileSync(file, `productKey,deviceName,deviceSecret\n${PK},"ev\u001b[2J\nil\u009b1m",s\n`);
  const { stderr } = await millrace("device", "import", file);
  expect(stderr).toMatch(/^line 2: deviceName: "ev\\u001b\[2J il\\u009b1m"/m);
  await fail(2, /deviceName: "\\u001b\[2Jdevice"/, "device", "create", PK, "\u001b[2Jdevice");
});

test("what is not allowed says what to do", { timeout: 60_000 }, async () => {
  await succeed("product", "create", "--product-key", PK);
  await succeed("device", "create", PK, "pump1");
  await succeed("product", "topic", "add", PK, "/user/all", "ALL");
  await fail(
    1,
    /suffix: product a1EXAMPLE01 has a topic class "\/user\/all" \(ALL\) already: delete it first/,
    ...["product", "topic", "add", PK, "/user/all", "PUB"],
  );
  await fail(2, /--limit is a whole number from 1 to 10000/, "log", "--limit", "10001");
  await fail(1, /no shadow yet: .*millrace shadow update/, "shadow", "get", PK, "pump1");
  const desired = (version?: number) =>
    JSON.stringify({ method: "update", state: { desired: { a: 1 } }, version });
  await fail(1, /^millrace: 403: .*"version" is a number/, "shadow", "update", PK, "pump1", desired());
  const deep = `{"state":{"desired":{"a":${"[".repeat(20_000)}${"]".repeat(20_000)}}},"version":1}`;
  await fail(2, /^millrace: JSON has more than 32 levels$/m, "shadow", "update", PK, "pump1", deep);
  await succeed("shadow", "update", PK, "pump1", desired(3));
  await fail(1, /^millrace: 409: .*millrace shadow get/, "shadow", "update", PK, "pump1", desired(3));
  await fail(
    1,
    /^millrace: 402: .*"state"/,
    "shadow",
    "update",
    PK,
    "pump1",
    '{"method":"update","version":9}',
  );
});

test("a thing model that would be passed over is refused, by file and by place", {
  timeout: 60_000,
}, async () => {
  await succeed("product", "create", "--product-key", PK);
  const file = join(workplace.directory, "tsl.json");
  const refuse = (tsl: unknown, message: RegExp) => {
    writeFileSync(file, typeof tsl === "string" ? tsl : JSON.stringify(tsl));
    return fail(2, message, "product", "model", PK, file);
  };
  await refuse("productKey,deviceName", /^millrace: model: is not JSON/);
  await refuse([], /model: is no JSON object/);
  await refuse({ name: "millrace", version: "1" }, /model: has neither properties, events, services/);
  await refuse({ properties: {} }, /model: properties is no list/);
  await refuse({ events: [{ name: "e" }] }, /model: events\[0\] has no identifier/);
  await refuse({ properties: [{ identifier: "X" }] }, /model: properties: "X" has no dataType with a type/);
  const x = { identifier: "X", dataType: { type: "int" } };
  await refuse({ properties: [x, x] }, /model: properties: identifier "X" stands twice/);
  expect((await succeed("product", "show", PK)).stdout).toMatch(/thingModel +no/);
  writeFileSync(file, JSON.stringify({ properties: [x] }));
  await succeed("product", "model", PK, file);
});

test("[AUTH-11] certificates: where they are written, whose they are, and when they count", {
  timeout: 60_000,
}, async () => {
  await workplace.start(...PLATFORM);
  await succeed("product", "create", "--product-key", "xk", "--auth", "x509");
  for (const name of ["one1", "two2", "three3"]) await succeed("device", "create", "xk", name);
  const file = join(workplace.directory, "file");
  writeFileSync(file, "no directory");
  await fail(
    1,
    /--out .*file.* cannot be made/,
    "device",
    "certificate",
    "xk",
    "one1",
    "--out",
    join(file, "x"),
  );
  const out = join(workplace.directory, "made", "here");
  // The first one there is counts at once, as does every later one: the broker that runs need not be started again.
  const first = await succeed("device", "certificate", "xk", "one1", "--out", out);
  expect(first.stderr).toMatch(/device one1 of product xk is known by its certificate [0-9a-f]{64}\n/);
  expect(first.stderr).not.toMatch(/start/);
  expect(existsSync(join(out, "one1.key"))).toBe(true);
  await succeed("device", "certificate", "xk", "two2", "--out", out);

  await fail(
    1,
    /--bind .*nowhere.pem cannot be read/,
    "device",
    "certificate",
    "xk",
    "one1",
    "--bind",
    "nowhere.pem",
  );
  const own = join(workplace.directory, "own.pem");
  writeFileSync(own, (await testCertificate()).cert);
  await succeed("device", "certificate", "xk", "three3", "--bind", own);
  const taken = /bound to three3 of product xk already: bind another to that device first, or delete it/;
  await fail(1, taken, "device", "certificate", "xk", "one1", "--bind", own);
  await succeed("device", "certificate", "xk", "three3", "--out", out);
  await succeed("device", "certificate", "xk", "one1", "--bind", own);
  expect(readFileSync(join(out, "three3.crt"), "utf8")).toContain("BEGIN CERTIFICATE");
});
