// The control socket: requests are answered in order and in full, its clients are bounded, and its path is private.
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { backupThroughControl, publishThroughControl } from "../../../src/cli/control/control-client.ts";
import { controlAnswers, findControlPath } from "../../../src/cli/control/control-path.ts";
import {
  type ControlMessage,
  encodeRequest,
  MAX_LINE_BYTES,
  parseResponse,
} from "../../../src/cli/control/control-protocol.ts";
import {
  type ControlServer,
  type ControlServerOptions,
  openControlServer,
} from "../../../src/cli/control/control-server.ts";
import { BARE, connected, droppedForIdling, FULL, talk } from "./control-socket.ts";

let directory: string;
let server: ControlServer | undefined;
let received: ControlMessage[];
let backups: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-test-"));
  received = [];
  backups = [];
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  rmSync(directory, { recursive: true, force: true });
});

async function open(options: Partial<ControlServerOptions> = {}): Promise<ControlServer> {
  server = await openControlServer({
    dataDirectory: directory,
    publish: async (message) => {
      received.push(message);
    },
    backup: async (directory) => {
      backups.push(directory);
    },
    registry: () => ({ busy: false, call: async () => null, close: async () => {} }),
    ...options,
  });
  return server;
}

describe("server and client", () => {
  test("the client resolves when the broker has answered, not before", async () => {
    let confirm = () => {};
    const asked = new Promise<void>((asking) => {
      open({
        publish: () => {
          asking();
          return new Promise((resolve) => {
            confirm = resolve;
          });
        },
      });
    });
    await expect.poll(() => controlAnswers(directory)).toBe(true);
    let done = false;
    const publishing = publishThroughControl(directory, FULL).then(() => {
      done = true;
    });
    await asked;
    expect(done).toBe(false);
    confirm();
    await publishing;
  });

  test("every property arrives", async () => {
    await open();
    await publishThroughControl(directory, FULL);
    expect(received).toEqual([FULL]);
  });

  test("a backup is confirmed when it is complete, however long that takes", async () => {
    let confirm = () => {};
    const asked = new Promise<void>((asking) => {
      open({
        idleMs: 30,
        backup: (directory) => {
          backups.push(directory);
          asking();
          return new Promise((resolve) => {
            confirm = resolve;
          });
        },
      });
    });
    await expect.poll(() => controlAnswers(directory)).toBe(true);
    const backup = backupThroughControl(directory, "/b");
    await asked;
    // Longer than an idle connection has: one that connected later has been dropped.
    await droppedForIdling(directory);
    confirm();
    await backup;
    expect(backups).toEqual(["/b"]);
    await expect(backupThroughControl(join(directory, "none"), "/b")).rejects.toMatchObject({
      code: "CONTROL_NO_BROKER",
    });
  });

  test("a refusal of the broker is the client's, in its words", async () => {
    await open({
      publish: () => Promise.reject(Object.assign(new Error("no wildcard"), { code: "TOPIC_INVALID" })),
    });
    await expect(publishThroughControl(directory, BARE)).rejects.toMatchObject({
      code: "CONTROL_REFUSED",
      message: "the broker refused: no wildcard",
    });
  });

  test("without a broker the remedy is named", async () => {
    const publishing = publishThroughControl(directory, BARE);
    await expect(publishing).rejects.toMatchObject({ code: "CONTROL_NO_BROKER" });
    await expect(publishing).rejects.toThrow("start one with millrace");
  });

  test("a broker that dies or stays silent is no confirmation", async () => {
    const path = join(directory, "control.sock");
    const dying = createServer((socket) => socket.once("data", () => socket.end()));
    await new Promise<void>((resolve) => dying.listen(path, resolve));
    await expect(publishThroughControl(directory, BARE)).rejects.toMatchObject({ code: "CONTROL_NO_ANSWER" });
    await new Promise((resolve) => dying.close(resolve));

    const silent = createServer((socket) => socket.on("error", () => {}));
    await new Promise<void>((resolve) => silent.listen(path, resolve));
    await expect(publishThroughControl(directory, BARE, 50)).rejects.toThrow("did not answer within 0.05 s");
    silent.close();
  });

  test("a message beyond the line's bound is not sent", async () => {
    await open();
    const message = (bytes: number) => ({ ...BARE, payload: Buffer.alloc(bytes) });
    const frame = Buffer.byteLength(encodeRequest({ id: 1, operation: "publish", message: BARE })) - 1;
    const most = Math.floor((MAX_LINE_BYTES - frame) / 4) * 3;
    await publishThroughControl(directory, message(most));
    expect(received[0].payload).toHaveLength(most);
    await expect(publishThroughControl(directory, message(most + 1))).rejects.toMatchObject({
      code: "CONTROL_MESSAGE_TOO_LARGE",
    });
  });

  test("requests of one connection are answered in order, one at a time", async () => {
    let running = 0;
    let most = 0;
    const { path } = await open({
      publish: async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
      },
    });
    const requests = Array.from({ length: 50 }, (_, i) =>
      encodeRequest({ id: i + 1, operation: "publish", message: BARE }),
    );
    const answers = await talk(path, requests.join(""), 50);
    expect(answers.map((line) => JSON.parse(line))).toEqual(
      Array.from({ length: 50 }, (_, i) => ({ v: 1, id: i + 1, ok: true })),
    );
    expect(most).toBe(1);
  });

  test("nonsense is answered, and the connection goes on", async () => {
    const { path } = await open();
    const answers = await talk(
      path,
      `hello\n${encodeRequest({ id: 9, operation: "publish", message: BARE })}`,
      2,
    );
    expect(answers.map((line) => JSON.parse(line))).toEqual([
      { v: 1, id: 0, ok: false, code: "BAD_REQUEST", message: "a request is a JSON object on one line" },
      { v: 1, id: 9, ok: true },
    ]);
  });

  test("a line without end is cut off", async () => {
    const { path } = await open();
    const answers = await talk(path, Buffer.alloc(MAX_LINE_BYTES + 1, "x"), 2);
    expect(answers.map((line) => JSON.parse(line))).toMatchObject([{ ok: false, code: "LINE_TOO_LONG" }]);
  });

  test("connections are bounded", async () => {
    const { path } = await open({ maxConnections: 2 });
    const sockets = [await connected(path), await connected(path)];
    await expect(publishThroughControl(directory, BARE)).rejects.toMatchObject({ code: "CONTROL_NO_ANSWER" });
    sockets[0].destroy();
    await expect.poll(() => publishThroughControl(directory, BARE).then(() => "sent", String)).toBe("sent");
    sockets[1].destroy();
  });

  test("an idle connection is closed", async () => {
    const { path } = await open({ idleMs: 30 });
    expect(await talk(path, "", 1)).toEqual([]);
  });
});

describe("the socket's path", () => {
  test("is private, and gone after close", async () => {
    const { path, close } = await open();
    expect(path).toBe(join(directory, "control.sock"));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await close();
    server = undefined;
    expect(() => statSync(path)).toThrow("ENOENT");
  });

  test("is free again after a crash", async () => {
    writeFileSync(join(directory, "control.sock"), "");
    await open();
    await publishThroughControl(directory, BARE);
    expect(received).toHaveLength(1);
  });

  test.each([
    [100, false],
    [101, true],
  ])("of %i bytes: a pointer file is %s", async (bytes, pointed) => {
    const top = directory;
    const base = realpathSync(directory);
    directory = join(base, "d".repeat(bytes - base.length - "//control.sock".length));
    mkdirSync(directory);
    try {
      const { path } = await open();
      expect(path === join(directory, "control.sock")).toBe(!pointed);
      if (pointed) {
        expect(readFileSync(join(directory, "control.path"), "utf8")).toBe(`${path}\n`);
        expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
      }
      expect(findControlPath(directory)).toBe(path);
      await publishThroughControl(directory, BARE);
      await server?.close();
      server = undefined;
      if (pointed) expect(() => statSync(dirname(path))).toThrow("ENOENT");
      expect(() => statSync(join(directory, "control.path"))).toThrow("ENOENT");
    } finally {
      directory = top;
    }
  });
});

describe("feeds", () => {
  test("come item by item, then end; an error ends them too", async () => {
    async function* items() {
      yield 1;
      yield { two: 2 };
    }
    async function* broken() {
      yield 1;
      throw new Error("the feed broke");
    }
    const { path } = await open({
      platform: {
        call: async () => null,
        follow: async (name) => ({ items: name === "whole" ? items() : broken(), close: () => {} }),
      },
    });
    const ask = (feed: string) => encodeRequest({ id: 7, operation: "follow", feed, given: {} });
    const answers = async (feed: string) =>
      (await talk(path, ask(feed), 9)).map((line) => parseResponse(line));
    expect(await answers("whole")).toEqual([
      { id: 7, ok: true, result: 1, more: true },
      { id: 7, ok: true, result: { two: 2 }, more: true },
      { id: 7, ok: true, result: undefined },
    ]);
    expect((await answers("broken"))[1]).toMatchObject({ id: 7, ok: false, message: "the feed broke" });
  });

  test("a feed that has nothing to say ends when its client goes, or says a word", async () => {
    let begun = 0;
    let closed = 0;
    const { path } = await open({
      platform: {
        call: async () => null,
        follow: async () => {
          begun++;
          let end = (): void => {};
          const over = new Promise<void>((resolve) => {
            end = resolve;
          });
          const nothing: AsyncIterable<never> = {
            [Symbol.asyncIterator]: () => ({
              next: async () => {
                await over;
                return { done: true, value: undefined };
              },
            }),
          };
          let open = true;
          const close = (): void => {
            if (open) closed++;
            open = false;
            end();
          };
          return { items: nothing, close };
        },
      },
    });
    const first = await connected(path);
    first.write(encodeRequest({ id: 1, operation: "follow", feed: "x", given: {} }));
    await vi.waitFor(() => expect(begun).toBe(1));
    first.destroy();
    await vi.waitFor(() => expect(closed).toBe(1));
    const second = await connected(path);
    second.write(encodeRequest({ id: 1, operation: "follow", feed: "x", given: {} }));
    await vi.waitFor(() => expect(begun).toBe(2));
    second.write("more\n");
    await vi.waitFor(() => expect(closed).toBe(2));
  });
});
