import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import type { ReadStream, WriteStream } from "node:tty";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { PasswordFile } from "../../../src/access/password-file.ts";
import { runPasswd } from "../../../src/cli/commands/passwd-command.ts";
import { promptSecret, readSecretLine } from "../../../src/cli/commands/secret-prompt.ts";

function terminal() {
  const modes: boolean[] = [];
  const input = Object.assign(new PassThrough(), { setRawMode: (on: boolean) => void modes.push(on) });
  const output = new PassThrough();
  return {
    modes,
    input,
    output,
    tty: [input as unknown as ReadStream, output as unknown as WriteStream] as const,
  };
}

describe("asking on a terminal", () => {
  test("echoes nothing and gives the terminal back", async () => {
    const { modes, input, output, tty } = terminal();
    const asked = promptSecret("Password: ", ...tty);
    for (const key of ["s", "é", "x", "\u007f", "c", "\r"]) input.write(key);
    expect(await asked).toBe("séc");
    expect(modes).toEqual([true, false]);
    expect(String(output.read())).toBe("Password: \n");
  });

  test.each(["\u0003", "\u0004"])("%j cancels", async (key) => {
    const { modes, input, tty } = terminal();
    const asked = promptSecret("Password: ", ...tty);
    input.write(`abc${key}`);
    await expect(asked).rejects.toMatchObject({ code: "CANCELLED" });
    expect(modes).toEqual([true, false]);
  });
});

test("a pipe gives its first line, bounded", async () => {
  const read = (...pieces: string[]) => {
    const input = new PassThrough();
    const line = readSecretLine(input);
    for (const piece of pieces) input.write(piece);
    input.end();
    return line;
  };
  expect(await read("se", "cret\r\nmore")).toBe("secret");
  expect(await read("no end")).toBe("no end");
  expect(await read("x".repeat(65_535))).toHaveLength(65_535);
  await expect(read("x".repeat(65_536))).rejects.toMatchObject({ code: "PASSWORD_TOO_LONG" });
});

describe("millrace passwd", () => {
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "millrace-test-"));
    file = join(directory, "users");
  });
  afterEach(() => {
    vi.restoreAllMocks();
    rmSync(directory, { recursive: true, force: true });
  });
  const feed = (text: string) => {
    const input = new PassThrough();
    input.end(text);
    vi.spyOn(process, "stdin", "get").mockReturnValue(input as unknown as typeof process.stdin);
  };

  test("adds, changes and deletes a user; the password itself is nowhere", async () => {
    const user = { file, user: "ann", remove: false, passwordStdin: true };
    feed("first\n");
    expect(await runPasswd(user)).toBe(`ann added to ${file}; a running broker takes it on SIGHUP`);
    feed("second\n");
    expect(await runPasswd(user)).toContain("ann changed in");
    expect(readFileSync(file, "utf8")).not.toMatch(/first|second/);
    const passwords = await PasswordFile.load(file);
    expect(await passwords.verify("ann", Buffer.from("second"))).toBe("right");
    expect(await passwords.verify("ann", Buffer.from("first"))).toBe("wrong");
    expect(await runPasswd({ ...user, remove: true, passwordStdin: false })).toBe(`ann deleted from ${file}`);
    await expect(runPasswd({ ...user, remove: true })).rejects.toMatchObject({ code: "USER_UNKNOWN" });
  });

  test("without a terminal asks for --password-stdin", async () => {
    feed("");
    const asked = runPasswd({ file, user: "ann", remove: false, passwordStdin: false });
    await expect(asked).rejects.toMatchObject({ code: "PASSWORD_NOT_ASKED", path: "--password-stdin" });
  });
});
