import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { backupThroughControl, publishThroughControl } from "../../../src/cli/control/control-client.ts";
import { openControlServer } from "../../../src/cli/control/control-server.ts";
import { openDataDirectory } from "../../../src/cli/data/data-directory.ts";
import { holdDirectory } from "../../../src/cli/data/offline.ts";
import { timePasses } from "../../support/time.ts";

const MESSAGE = { topic: "t", payload: Buffer.from("p"), qos: 1, retain: false, properties: {} } as const;

let directory: string;
let lock: string;

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), "millrace-test-")), "data");
  lock = join(directory, "broker.lock");
});
afterEach(() => rmSync(join(directory, ".."), { recursive: true, force: true }));

/** The id of a process that has ended. */
const deadPid = () => spawnSync("true").pid;

test("is made for its owner only, and given back", async () => {
  const data = await openDataDirectory(directory);
  expect(data).toMatchObject({ path: directory, exposed: false });
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(statSync(lock).mode & 0o777).toBe(0o600);
  data.release();
  expect(readdirSync(directory)).toEqual([]);
});

test("that others may read is told, not changed", async () => {
  (await openDataDirectory(directory)).release();
  chmodSync(directory, 0o755);
  const data = await openDataDirectory(directory);
  expect(data.exposed).toBe(true);
  expect(statSync(directory).mode & 0o777).toBe(0o755);
  data.release();
});

test("that cannot be made says why", async () => {
  writeFileSync(directory, "");
  await expect(openDataDirectory(directory)).rejects.toMatchObject({ code: "DATA_DIRECTORY_UNUSABLE" });
});

test("with a living broker is refused, with its process and a remedy", async () => {
  const data = await openDataDirectory(directory);
  const control = await openControlServer({
    dataDirectory: directory,
    publish: async () => {},
    backup: async () => {},
    registry: () => ({ busy: false, call: async () => null, close: async () => {} }),
  });
  const second = openDataDirectory(directory);
  await expect(second).rejects.toMatchObject({ code: "DATA_DIRECTORY_IN_USE" });
  await expect(second).rejects.toThrow(`process ${process.pid}`);
  await expect(second).rejects.toThrow("--data");
  await control.close();
  data.release();
  (await openDataDirectory(directory)).release();
});

test("with a living command is refused in that command's name", async () => {
  await holdDirectory(directory, "import", async () => {
    const second = openDataDirectory(directory);
    await expect(second).rejects.toMatchObject({ code: "DATA_DIRECTORY_IN_USE" });
    await expect(second).rejects.toThrow(`millrace import (process ${process.pid}) works on`);
    await expect(publishThroughControl(directory, MESSAGE)).rejects.toThrow("no broker runs on");
    await expect(backupThroughControl(directory, "/b")).rejects.toThrow("millrace import works there");
  });
  expect(readdirSync(directory)).toEqual([]);
});

test.each([
  ["whose process has ended", () => `${deadPid()} 00\n`],
  ["of a process with our own id, as in a container started again", () => `${process.pid} 00\n`],
  ["that is empty", () => ""],
])("a lock %s is taken over", async (_, content) => {
  (await openDataDirectory(directory)).release();
  writeFileSync(lock, content());
  const data = await openDataDirectory(directory);
  expect(readdirSync(directory)).toEqual(["broker.lock"]);
  data.release();
});

test("a living process without a control socket holds the lock only while it may be starting", async () => {
  (await openDataDirectory(directory)).release();
  writeFileSync(lock, `${process.ppid} 00\n`);
  const opening = openDataDirectory(directory);
  const early = await Promise.race([
    opening.then(() => "taken"),
    // It has looked several times meanwhile.
    timePasses(300).then(() => "waits"),
  ]);
  expect(early).toBe("waits");
  const past = Date.now() / 1000 - 4;
  utimesSync(lock, past, past);
  (await opening).release();
});

test("release leaves a lock alone that is somebody else's by now", async () => {
  const data = await openDataDirectory(directory);
  writeFileSync(lock, "1 00\n");
  data.release();
  expect(existsSync(lock)).toBe(true);
});
