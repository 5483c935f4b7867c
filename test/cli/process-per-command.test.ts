// Every command as a process of its own, as users run it, beside the same in the process that other tests share: both print the
// same and end with the same code.
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Running, Workplace } from "./executable.ts";

const PK = "a1EXAMPLE01";
const ROWS = `productKey,deviceName,deviceSecret\n${PK},pump1,s\n`;

let workplace: Workplace;
let broker: Running;
beforeAll(async () => {
  workplace = new Workplace();
  broker = await workplace.start("--listen", "tcp://localhost:0", "--log-level", "warn");
  const made = [
    ["product", "create", "--product-key", PK, "--free-topics"],
    ["device", "create", PK, "pump1", "--device-secret", "s"],
  ];
  for (const args of made)
    expect((await workplace.command([...args, "--data", workplace.data])).code).toBe(0);
});
afterAll(() => workplace.close());

async function expectSame(code: number, args: readonly string[], input?: string): Promise<void> {
  const own = await workplace.millrace(args, input);
  const shared = await workplace.command(args, input);
  expect([own.code, own.stderr]).toEqual([code, expect.not.stringMatching(/internal error|Warning/)]);
  expect(shared).toEqual({ code: own.code, stdout: own.stdout, stderr: own.stderr });
}
const onData = (args: string): string[] => [...args.split(" "), "--data", workplace.data];

describe("beside a broker", () => {
  test.each([
    [0, "product list --json"],
    [0, `product show ${PK}`],
    [0, `product update ${PK} --name Pumps`],
    [0, `product topic list ${PK}`],
    [1, "product show nope"],
    [0, `device list ${PK}`],
    [0, `device show ${PK} pump1 --json`],
    [0, `device export ${PK}`],
    [2, `device create ${PK} abc`],
    [1, `device certificate ${PK} pump1`],
    [0, `device subscriptions ${PK} pump1`],
    [1, `device subscribe ${PK} pump1 --topic /${PK}/pump1/user/get`],
    [0, `publish /${PK}/pump1/user/get x --qos 1`],
    [1, `rrpc ${PK} nobody x`],
    [1, `shadow get ${PK} pump1`],
    [0, "log --code 1 --json"],
    [2, "upstream --count 0"],
    [1, "restore nowhere"],
  ])("%i: %s", (code, args) => expectSame(code, onData(args)));

  test("with a standard input", async () => {
    await expectSame(0, onData("device import -"), ROWS);
    await expectSame(1, onData("device import -"), `${ROWS}${PK},x\n`);
    const users = join(workplace.directory, "users");
    expect((await workplace.command(["passwd", users, "ann", "--password-stdin"], "first\n")).code).toBe(0);
    await expectSame(0, ["passwd", users, "ann", "--password-stdin"], "second\n");
    await expectSame(2, ["passwd", users, "ann", "--password-stdin"], "");
  });

  test("export and backup", async () => {
    await expectSame(0, onData("export"));
    const backup = (name: string) => onData(`backup ${join(workplace.directory, name)}`);
    const [own, shared] = [await workplace.millrace(backup("b1")), await workplace.command(backup("b2"))];
    expect(own.code).toBe(0);
    expect(shared).toEqual({ code: 0, stdout: own.stdout, stderr: own.stderr.replace("/b1", "/b2") });
    await expectSame(1, backup("b1"));
  });
});

describe("behind it", () => {
  test("on its data directory, and without one", async () => {
    broker.child.kill("SIGTERM");
    await broker.exited;
    for (const args of ["product list", `device list ${PK} --json`, "export", "log --json"])
      await expectSame(0, onData(args));
    await expectSame(1, onData("publish t x"));
    await expectSame(1, ["device", "list", PK, "--data", join(workplace.directory, "none")]);
    for (const args of ["--version", "--help", "device --help"]) await expectSame(0, args.split(" "));
    await expectSame(2, ["devise"]);
  });
});
