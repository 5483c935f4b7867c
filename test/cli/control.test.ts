import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { backupThroughControl, publishThroughControl } from "../../src/cli/control-client.ts";
import { controlAnswers, findControlPath } from "../../src/cli/control-path.ts";
import {
  type ControlMessage,
  encodeRequest,
  MAX_LINE_BYTES,
  parseRequest,
  parseResponse,
  RequestRefusal,
} from "../../src/cli/control-protocol.ts";
import {
  type ControlServer,
  type ControlServerOptions,
  openControlServer,
} from "../../src/cli/control-server.ts";
import { LineReader } from "../../src/cli/line-reader.ts";

const FULL: ControlMessage = {
  topic: "/a/ü",
  payload: Buffer.from([0, 10, 255]),
  qos: 2,
  retain: true,
  properties: {
    payloadFormatIndicator: 0,
    messageExpiryInterval: 4_294_967_295,
    contentType: "text/plain",
    responseTopic: "r",
    correlationData: Buffer.from([10, 13, 0]),
    userProperties: [
      ["k", "1"],
      ["k", ""],
    ],
  },
};
const BARE: ControlMessage = { topic: "t", payload: Buffer.alloc(0), qos: 0, retain: false, properties: {} };

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

/** A raw client: what it is sent until the server closes, or until `lines` lines. */
function talk(path: string, bytes: string | Buffer, lines: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(bytes));
    let text = "";
    const settle = () => {
      socket.destroy();
      resolve(text.split("\n").slice(0, -1));
    };
    socket.setEncoding("utf8");
    socket.on("data", (piece) => {
      text += piece;
      if (text.split("\n").length > lines) settle();
    });
    socket.on("close", settle);
    socket.on("error", reject);
  });
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(path, () => resolve(socket));
    socket.on("error", () => {});
  });
}

describe("protocol", () => {
  test("a message with every property comes through whole", () => {
    expect(parseRequest(encodeRequest({ id: 7, operation: "publish", message: FULL }))).toEqual({
      id: 7,
      operation: "publish",
      message: FULL,
    });
  });

  test("a backup names its directory", () => {
    const backup = { id: 8, operation: "backup", directory: "/b/ü" } as const;
    expect(parseRequest(encodeRequest(backup))).toEqual(backup);
  });

  const request = { v: 1, id: 1, operation: "publish", message: { topic: "t" } };
  test("payload, QoS, RETAIN and properties may be left out", () => {
    expect(parseRequest(JSON.stringify(request))).toEqual({ id: 1, operation: "publish", message: BARE });
  });

  test.each<[string, unknown, string]>([
    ["no JSON", "{", "BAD_REQUEST"],
    ["no object", [], "BAD_REQUEST"],
    ["another version", { ...request, v: 2 }, "UNSUPPORTED_VERSION"],
    ["no version", { id: 1 }, "UNSUPPORTED_VERSION"],
    ["no id", { ...request, id: undefined }, "BAD_REQUEST"],
    ["id 0", { ...request, id: 0 }, "BAD_REQUEST"],
    ["another operation", { ...request, operation: "stop" }, "BAD_REQUEST"],
    ["a backup to nowhere", { ...request, operation: "backup" }, "BAD_REQUEST"],
    ["a backup to a relative path", { ...request, operation: "backup", directory: "b" }, "BAD_REQUEST"],
    ["a backup to no path", { ...request, operation: "backup", directory: "/b\0" }, "BAD_REQUEST"],
    ["a call without a name", { ...request, operation: "registry", given: {} }, "BAD_REQUEST"],
    ["a call with a list", { ...request, operation: "registry", call: "x", given: [] }, "BAD_REQUEST"],
    ["no message", { ...request, message: null }, "BAD_REQUEST"],
    ["no topic", { ...request, message: {} }, "BAD_REQUEST"],
    ["QoS 3", { ...request, message: { topic: "t", qos: 3 } }, "BAD_REQUEST"],
    ["RETAIN 1", { ...request, message: { topic: "t", retain: 1 } }, "BAD_REQUEST"],
    ["payload not Base64", { ...request, message: { topic: "t", payload: "ab*=" } }, "BAD_REQUEST"],
    ["an unknown field", { ...request, message: { topic: "t", quality: 1 } }, "BAD_REQUEST"],
    [
      "an unknown property",
      { ...request, message: { topic: "t", properties: { topicAlias: 1 } } },
      "BAD_REQUEST",
    ],
    [
      "a pair of three",
      { ...request, message: { topic: "t", properties: { userProperties: [["a", "b", "c"]] } } },
      "BAD_REQUEST",
    ],
    [
      "an expiry too far",
      { ...request, message: { topic: "t", properties: { messageExpiryInterval: 2 ** 32 } } },
      "BAD_REQUEST",
    ],
  ])("refuses %s", (_, value, code) => {
    const parse = () => parseRequest(typeof value === "string" ? value : JSON.stringify(value));
    expect(parse).toThrow(RequestRefusal);
    expect(parse).toThrow(expect.objectContaining({ code }));
  });
});

describe("LineReader", () => {
  test("finds the same lines whatever the chunks", () => {
    const bytes = Buffer.from("one\n\nthr\u00e9e\nrest");
    for (let cut = 0; cut <= bytes.length; cut++) {
      const reader = new LineReader(100);
      const lines = [...reader.push(bytes.subarray(0, cut)).lines, ...reader.push(bytes.subarray(cut)).lines];
      expect(lines).toEqual(["one", "", "thr\u00e9e"]);
    }
  });

  test.each([
    [3, false],
    [4, false],
    [5, true],
  ])("a line of %i bytes where 4 are allowed: too long is %s", (length, tooLong) => {
    expect(new LineReader(4).push(Buffer.from("x".repeat(length))).tooLong).toBe(tooLong);
    expect(new LineReader(4).push(Buffer.from(`${"x".repeat(length)}\n`)).tooLong).toBe(tooLong);
  });
});

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
    // Three times what an idle connection may take.
    await new Promise((resolve) => setTimeout(resolve, 90));
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
