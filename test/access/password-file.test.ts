import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PasswordChecker, type PasswordEntry, deriveHash } from "../../src/access/password-checker.ts";
import { PasswordFile, removeUser, setPassword } from "../../src/access/password-file.ts";
import { ConfigError, OperationError } from "../../src/errors.ts";

const CHEAP = { N: 16, r: 1, p: 1 };
const bytes = (text: string) => Buffer.from(text);

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "millrace-passwd-"));
  path = join(directory, "passwd");
});
afterEach(() => rm(directory, { recursive: true }));

describe("password file", () => {
  it("writes the documented form with the documented cost and checks against it", async () => {
    expect(await setPassword(path, "alice", "wonder")).toBe("added");
    expect(await readFile(path, "utf8")).toMatch(
      /^alice:\$scrypt\$N=16384,r=8,p=1\$[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=\n$/,
    );
    const file = await PasswordFile.load(path);
    expect(await file.verify("alice", bytes("wonder"))).toBe("right");
    expect(await file.verify("alice", bytes("Wonder"))).toBe("wrong");
    expect(await file.verify("alice", bytes(""))).toBe("wrong");
    expect(await file.verify("bob", bytes("wonder"))).toBe("wrong");
  });

  it("is readable by its owner only, and leaves no temporary file", async () => {
    await writeFile(path, "# mine\n", { mode: 0o644 });
    await setPassword(path, "alice", "wonder", CHEAP);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).toEqual(["passwd"]);
  });

  it("changes and removes one line and keeps the others and the comments", async () => {
    await writeFile(path, "# keep me\n");
    await setPassword(path, "alice", "one", CHEAP);
    await setPassword(path, "bob", "two", CHEAP);
    expect(await setPassword(path, "alice", "three", CHEAP)).toBe("changed");
    const file = await PasswordFile.load(path);
    expect(file.users).toEqual(["alice", "bob"]);
    expect(await file.verify("alice", bytes("one"))).toBe("wrong");
    expect(await file.verify("alice", bytes("three"))).toBe("right");
    expect(await removeUser(path, "alice")).toBe(true);
    expect(await removeUser(path, "alice")).toBe(false);
    expect((await PasswordFile.load(path)).users).toEqual(["bob"]);
    expect(await readFile(path, "utf8")).toMatch(/^# keep me\nbob:/);
  });

  it("follows a symbolic link instead of replacing it", async () => {
    const real = join(directory, "real");
    await writeFile(real, "");
    await symlink(real, path);
    await setPassword(path, "alice", "one", CHEAP);
    expect(await readFile(real, "utf8")).toMatch(/^alice:/);
  });

  it.each(["", "a:b", "#a", "a\nb"])("refuses the user name %j", async (name) => {
    await expect(setPassword(path, name, "x", CHEAP)).rejects.toThrow(ConfigError);
  });
  it("refuses an empty password", async () => {
    await expect(setPassword(path, "alice", "", CHEAP)).rejects.toThrow(ConfigError);
  });
  it("reports a directory that is not there", async () => {
    await expect(setPassword(join(directory, "no", "passwd"), "a", "x", CHEAP)).rejects.toThrow(
      OperationError,
    );
    await expect(PasswordFile.load(path)).rejects.toThrow(OperationError);
  });

  const good = "$scrypt$N=16,r=1,p=1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  it.each([
    [`a:${good}\n\n# c\nb:plain`, /passwd:4: not of the form .*`millrace passwd`/],
    [`a:${good}\na:${good}`, /passwd:2: user "a" is listed twice/],
    [`a:${good.replace("N=16", "N=17")}`, /passwd:1: scrypt cost/],
    [`a:${good.replace("N=16", "N=1048576").replace("r=1", "r=8")}`, /passwd:1: scrypt cost/],
    ["a:$scrypt$N=16,r=1,p=1$AAAA$AAAA", /passwd:1: hash of less than 16/],
    ["a:$7$101$abc$def==", /passwd:1: .*other brokers/],
  ])("names file, line and remedy: %#", (text, message) => {
    expect(() => PasswordFile.parse(text, "passwd")).toThrow(ConfigError);
    expect(() => PasswordFile.parse(text, "passwd")).toThrow(message);
  });
});

describe("password checker", () => {
  async function entriesFor(...names: string[]): Promise<Map<string, PasswordEntry>> {
    const entries = new Map<string, PasswordEntry>();
    for (const name of names) {
      const salt = bytes(`salt-of-${name}`);
      entries.set(name, { cost: CHEAP, salt, hash: await deriveHash(bytes(`pw-${name}`), salt, CHEAP) });
    }
    return entries;
  }

  it("answers a second success at once, a failure never", async () => {
    const checker = new PasswordChecker(await entriesFor("a"));
    expect(checker.check("a", bytes("pw-a"))).toBeInstanceOf(Promise);
    expect(await checker.check("a", bytes("pw-a"))).toBe("right");
    expect(checker.check("a", bytes("pw-a"))).toBe("right");
    expect(await checker.check("a", bytes("no"))).toBe("wrong");
    expect(checker.check("a", bytes("no"))).toBeInstanceOf(Promise);
  });

  it("remembers only so many, the oldest goes first", async () => {
    const checker = new PasswordChecker(await entriesFor("a", "b", "c"), { remembered: 2 });
    for (const name of ["a", "b"]) await checker.check(name, bytes(`pw-${name}`));
    expect(checker.check("a", bytes("pw-a"))).toBe("right"); // a is younger than b now
    await checker.check("c", bytes("pw-c"));
    expect(checker.check("a", bytes("pw-a"))).toBe("right");
    expect(checker.check("c", bytes("pw-c"))).toBe("right");
    expect(checker.check("b", bytes("pw-b"))).toBeInstanceOf(Promise);
  });

  it("says busy beyond what may run and wait, and takes checks again afterwards", async () => {
    const checker = new PasswordChecker(await entriesFor("a"), { running: 1, waiting: 2 });
    const checks = ["1", "2", "3", "4", "5"].map((guess) => checker.check("a", bytes(guess)));
    expect(await Promise.all(checks)).toEqual(["wrong", "wrong", "wrong", "busy", "busy"]);
    expect(await checker.check("a", bytes("pw-a"))).toBe("right");
  });

  it("asks once where the same pair comes many times at once", async () => {
    const checker = new PasswordChecker(await entriesFor("a"), { running: 1, waiting: 0 });
    const checks = Array.from({ length: 50 }, () => checker.check("a", bytes("pw-a")));
    expect(new Set(await Promise.all(checks))).toEqual(new Set(["right"]));
  });

  it("does an unknown user's check like a known one's", async () => {
    const checker = new PasswordChecker(await entriesFor("a"), { running: 1, waiting: 0 });
    const unknown = checker.check("nobody", bytes("pw-a"));
    // The one place is taken by a real derivation: the unknown user did not fall through.
    expect(checker.check("a", bytes("pw-a"))).toBe("busy");
    expect(await unknown).toBe("wrong");
    expect(await new PasswordChecker(new Map()).check("nobody", bytes(""))).toBe("wrong");
  });
});
