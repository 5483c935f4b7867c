import { once } from "node:events";
import type { Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type ClientOptions, WebSocket } from "ws";
import { MAX_CHUNK } from "../../src/transport/socket-stream.ts";
import { testCertificates } from "./certificates.ts";
import { CONNECT, closed, dial, type Opened, open, readBytes, writeParts } from "./helpers.ts";

let opened: Opened | undefined;
afterEach(async () => {
  await opened?.close();
  opened = undefined;
});

async function dialWs(
  port: number,
  protocols: string[] = ["mqtt"],
  options: ClientOptions = {},
  path = "/mqtt",
) {
  const { origin, ...rest } = options;
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, { origin, ...rest });
  socket.on("error", () => {});
  await once(socket, "open");
  return socket;
}

/** Status of the answer to an upgrade that is refused. */
async function refusedStatus(
  port: number,
  protocols: string[],
  options: ClientOptions = {},
): Promise<number> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, protocols, options);
  socket.on("error", () => {});
  const [, response] = await once(socket, "unexpected-response");
  response.resume();
  return response.statusCode;
}

async function httpAnswer(port: number, request: string): Promise<string> {
  const socket = await dial(port);
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  socket.write(request);
  await once(socket, "close");
  return text;
}

function closeCode(socket: WebSocket): Promise<number> {
  return new Promise((resolve) => socket.once("close", (code) => resolve(code)));
}

function rawSocket(socket: WebSocket): Socket {
  return (socket as unknown as { _socket: Socket })._socket;
}

describe("the upgrade", () => {
  for (const [offered, chosen] of [
    [["mqtt"], "mqtt"],
    [["mqttv3.1"], "mqttv3.1"],
    [["mqttv3.1", "mqtt"], "mqtt"],
    [["other", "mqtt"], "mqtt"],
    [[], ""],
  ] as const) {
    it(`answers the subprotocols [${offered}] with "${chosen}" [NET-9]`, async () => {
      opened = await open({ kind: "ws" });
      const client = await dialWs(opened.port, [...offered]);
      expect(client.protocol).toBe(chosen);
      client.terminate();
    });
  }

  it("refuses a client that offers other subprotocols only", async () => {
    opened = await open({ kind: "ws" });
    expect(await refusedStatus(opened.port, ["wamp"])).toBe(400);
    expect(opened.reasons).toEqual(["upgrade"]);
  });

  it("takes any path", async () => {
    opened = await open({ kind: "ws" });
    for (const path of ["/", "/mqtt", "/a/b?c=d"])
      (await dialWs(opened.port, ["mqtt"], {}, path)).terminate();
    expect(opened.reasons).toEqual([]);
  });

  it("answers a plain GET with 426 and a short text", async () => {
    opened = await open({ kind: "ws" });
    const answer = await httpAnswer(opened.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 426 /);
    expect(answer).toContain("Upgrade: websocket");
    expect(answer).toContain("MQTT");
    expect(opened.reasons).toEqual(["upgrade"]);
  });

  it("answers a malformed or unfinished upgrade with 400", async () => {
    opened = await open({ kind: "ws" });
    const broken = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    expect(await httpAnswer(opened.port, broken)).toMatch(/^HTTP\/1\.1 400 /);
    expect(await httpAnswer(opened.port, "G\u0001\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
    expect(opened.reasons).toEqual(["upgrade", "upgrade"]);
  });

  it("closes anything that is no GET", async () => {
    opened = await open({ kind: "ws" });
    const client = await dial(opened.port);
    client.write(CONNECT);
    expect(await closed(client)).toBe(false);
    expect(opened.reasons).toEqual(["upgrade"]);
  });

  it("must be finished in time", async () => {
    opened = await open({ kind: "ws" }, { handshakeTimeoutMs: 100, maxHandshakes: 1 });
    const client = await dial(opened.port);
    client.write("GET / HTTP/1.1\r\nHost: a\r\n");
    await closed(client);
    expect(opened.reasons).toEqual(["deadline"]);
    (await dialWs(opened.port)).terminate();
  });

  it("is bounded in number: n-1 and n are served, n+1 is closed", async () => {
    opened = await open({ kind: "ws" }, { maxHandshakes: 2 });
    const waiting = [await dial(opened.port), await dial(opened.port)];
    for (const socket of waiting) await writeParts(socket, Buffer.from("GET / HTTP/1.1\r\n"));
    expect(opened.reasons).toEqual([]);
    const third = await dial(opened.port);
    third.write("GET / HTTP/1.1\r\n");
    expect(await closed(third)).toBe(false);
    expect(opened.reasons).toEqual(["handshakes"]);
    waiting[0].destroy();
    await closed(waiting[0]);
    // Its place is free as soon as the server has seen it go.
    await expect
      .poll(async () =>
        dialWs(opened?.port ?? 0).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    waiting[1].destroy();
  });

  it("takes bytes that follow the request in the same segment, split anywhere", async () => {
    opened = await open({ kind: "ws" });
    const head = Buffer.from(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
    );
    const frame = Buffer.concat([Buffer.from([0x82, 0x80 | CONNECT.length, 0, 0, 0, 0]), CONNECT]);
    const all = Buffer.concat([head, frame]);
    for (let split = 1; split <= all.length; split += 1) {
      const client = await dial(opened.port);
      client.resume();
      await writeParts(client, all.subarray(0, split), all.subarray(split));
      const server = await opened.stream(split - 1);
      await server.until(() => server.bytes === CONNECT.length);
      expect(server.received.equals(CONNECT)).toBe(true);
      client.destroy();
    }
  });
});

describe("the Origin check", () => {
  it("admits no Origin, the own host, and listed ones", async () => {
    opened = await open({ kind: "ws", allowedOrigins: ["https://app.example"] });
    for (const origin of [
      undefined,
      `http://127.0.0.1:${opened.port}`,
      "https://app.example",
      "HTTPS://App.Example",
    ]) {
      (await dialWs(opened.port, ["mqtt"], { origin })).terminate();
    }
    expect(opened.reasons).toEqual([]);
  });

  it("knows its own host with and without the scheme's port", async () => {
    opened = await open({ kind: "ws" });
    for (const [origin, host] of [
      ["http://broker.example", "broker.example"],
      ["http://broker.example", "broker.example:80"],
      ["https://broker.example", "broker.example:443"],
      ["http://broker.example:8083", "BROKER.example:8083"],
    ]) {
      (await dialWs(opened.port, ["mqtt"], { origin, headers: { Host: host } })).terminate();
    }
    expect(opened.reasons).toEqual([]);
  });

  it("refuses all others with 403", async () => {
    opened = await open({ kind: "ws", allowedOrigins: ["https://app.example"] });
    const origins = [
      "http://evil.example",
      "https://app.example:444",
      "null",
      "file://",
      "http://127.0.0.1:1",
      "x",
    ];
    for (const origin of origins) expect(await refusedStatus(opened.port, ["mqtt"], { origin })).toBe(403);
    expect(opened.reasons).toEqual(origins.map(() => "origin"));
    expect(opened.recorders.length).toBe(0);
  });

  it('admits every Origin with "*"', async () => {
    opened = await open({ kind: "ws", allowedOrigins: ["*"] });
    for (const origin of ["http://evil.example", "null"]) {
      (await dialWs(opened.port, ["mqtt"], { origin })).terminate();
    }
    expect(opened.reasons).toEqual([]);
  });
});

describe("a stream over WebSocket", () => {
  it("says where the client comes from", async () => {
    opened = await open({ kind: "ws" });
    const client = await dialWs(opened.port);
    const server = await opened.stream();
    expect(server.stream.info).toMatchObject({
      transport: "ws",
      secure: false,
      remoteAddress: "127.0.0.1",
      localPort: opened.port,
      loopback: true,
    });
    expect(server.stream.info.remotePort).toBeGreaterThan(0);
    client.terminate();
  });

  it("joins a packet that spans frames, split at every byte, and fragments of frames", async () => {
    opened = await open({ kind: "ws" });
    const client = await dialWs(opened.port);
    const server = await opened.stream();
    const expected: Buffer[] = [];
    for (let split = 0; split <= CONNECT.length; split += 1) {
      client.send(CONNECT.subarray(0, split));
      client.send(CONNECT.subarray(split));
      client.send(CONNECT.subarray(0, split), { fin: false });
      client.send(CONNECT.subarray(split), { fin: true });
      expected.push(CONNECT, CONNECT);
    }
    const all = Buffer.concat(expected);
    await server.until(() => server.bytes === all.length);
    expect(server.received.equals(all)).toBe(true);
    client.terminate();
  });

  it("sends binary frames, uncompressed", async () => {
    opened = await open({ kind: "ws" });
    const client = await dialWs(opened.port, ["mqtt"], { perMessageDeflate: true });
    const server = await opened.stream();
    server.stream.write(CONNECT);
    const [data, isBinary] = await once(client, "message");
    expect(client.extensions).toBe("");
    expect(isBinary).toBe(true);
    expect(data.equals(CONNECT)).toBe(true);
    client.terminate();
  });

  it("closes with 1003 on a text frame", async () => {
    opened = await open({ kind: "ws" });
    const client = await dialWs(opened.port);
    const server = await opened.stream();
    client.send("text");
    client.send(CONNECT);
    expect(await closeCode(client)).toBe(1003);
    await server.until(() => server.closes === 1);
    expect(server.bytes).toBe(0);
    expect(server.error).toMatchObject({ code: "WEBSOCKET_TEXT_FRAME" });
  });

  it("takes messages of n-1 and n bytes and closes with 1009 at n+1", async () => {
    opened = await open({ kind: "ws" }, { webSocketMaxPayload: 1_000 });
    const client = await dialWs(opened.port);
    const server = await opened.stream();
    client.send(Buffer.alloc(999));
    client.send(Buffer.alloc(1_000));
    await server.until(() => server.bytes === 1_999);
    client.send(Buffer.alloc(1_001));
    expect(await closeCode(client)).toBe(1009);
    await server.until(() => server.closes === 1);
    expect(server.error).toMatchObject({ code: "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH" });
    expect(server.bytes).toBe(1_999);
  });

  it("splits large messages, and delivers nothing while paused", async () => {
    opened = await open({ kind: "ws" });
    opened.onStream = (recorder) => {
      let resuming = false;
      recorder.onChunk = () => {
        expect(resuming).toBe(false);
        resuming = true;
        recorder.stream.pause();
        setImmediate(() => {
          resuming = false;
          recorder.stream.resume();
        });
      };
    };
    const client = await dialWs(opened.port);
    const sent: Buffer[] = [];
    for (let index = 0; index < 300; index += 1) {
      sent.push(Buffer.alloc(index % 50 === 0 ? 200_001 : 100 + index, index & 255));
      client.send(sent[index]);
    }
    const all = Buffer.concat(sent);
    const server = await opened.stream();
    await server.until(() => server.bytes === all.length);
    expect(server.received.equals(all)).toBe(true);
    expect(Math.max(...server.chunks.map((chunk) => chunk.length))).toBe(MAX_CHUNK);
    client.terminate();
  });

  it("hands over what waited behind a pause though the client has closed meanwhile", async () => {
    opened = await open({ kind: "ws" });
    opened.onStream = (recorder) => {
      recorder.onChunk = () => recorder.stream.pause();
    };
    const client = await dialWs(opened.port);
    const server = await opened.stream();
    rawSocket(client).cork();
    for (const text of ["one", "two", "three"]) client.send(Buffer.from(text));
    client.close();
    rawSocket(client).uncork();
    await closeCode(client);
    for (let count = 1; count <= 3; count += 1) {
      await server.until(() => server.chunks.length === count);
      expect(server.ends).toBe(0);
      server.stream.resume();
    }
    await server.until(() => server.closes === 1);
    expect(server.chunks.map(String)).toEqual(["one", "two", "three"]);
    expect(server.ends).toBe(1);
  });

  it("holds a sender back while paused", async () => {
    opened = await open({ kind: "ws" });
    opened.onStream = (recorder) => {
      recorder.onChunk = () => recorder.stream.pause();
    };
    const client = await dialWs(opened.port);
    const server = await opened.stream();
    client.send(Buffer.from("x"));
    await server.until(() => server.bytes === 1);
    for (let sent = 0; sent < 64; sent += 1) client.send(Buffer.alloc(1_000_000));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(server.bytes).toBe(1);
    expect(client.bufferedAmount).toBeGreaterThan(0);
    server.onChunk = undefined;
    server.stream.resume();
    await server.until(() => server.bytes === 64_000_001);
    client.terminate();
  });

  it("shows what a slow reader has not taken, and tells when it has gone", async () => {
    opened = await open({ kind: "ws" });
    const client = await dialWs(opened.port);
    const server = await opened.stream();
    client.pause();
    let total = 0;
    while (server.stream.pendingBytes < 1_000_000) {
      server.stream.write(Buffer.alloc(100_000));
      total += 100_000;
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(server.drains).toBe(0);
    let received = 0;
    client.on("message", (data: Buffer) => {
      received += data.length;
    });
    client.resume();
    await server.until(() => server.drains === 1);
    expect(server.stream.pendingBytes).toBe(0);
    await expect.poll(() => received).toBe(total);
    client.terminate();
  });

  it("answers pings, but buffers no pongs for a peer that does not read", async () => {
    opened = await open({ kind: "ws" });
    const client = await dialWs(opened.port);
    const server = await opened.stream();
    client.ping("are you there");
    expect((await once(client, "pong"))[0].toString()).toBe("are you there");
    client.pause();
    while (server.stream.pendingBytes < 200_000) server.stream.write(Buffer.alloc(100_000));
    const pending = server.stream.pendingBytes;
    for (let count = 0; count < 1_000; count += 1) client.ping();
    client.send(Buffer.from("x"));
    await server.until(() => server.bytes === 1);
    expect(server.stream.pendingBytes).toBeLessThanOrEqual(pending);
    client.terminate();
  });

  it("end() sends all that is pending, then closes with 1000", async () => {
    opened = await open({ kind: "ws" });
    const client = await dialWs(opened.port);
    const server = await opened.stream();
    let received = 0;
    client.on("message", (data: Buffer) => {
      received += data.length;
    });
    server.stream.write(Buffer.alloc(700_000));
    server.stream.write(Buffer.alloc(700_000));
    server.stream.end();
    server.stream.write(Buffer.from("never"));
    expect(await closeCode(client)).toBe(1000);
    expect(received).toBe(1_400_000);
    await server.until(() => server.closes === 1);
    expect(server.error).toBeUndefined();
    expect(server.ends).toBe(0);
  });

  it("end() waits for the client's own close no longer than its deadline", async () => {
    opened = await open({ kind: "ws" });
    const client = await dialWs(opened.port);
    const server = await opened.stream();
    client.pause();
    server.stream.end();
    await server.until(() => server.closes === 1);
    client.terminate();
  });

  it("tells of the client's close and of a lost connection", async () => {
    opened = await open({ kind: "ws" });
    const first = await dialWs(opened.port);
    const closing = await opened.stream(0);
    first.close();
    await closing.until(() => closing.closes === 1);
    expect([closing.ends, closing.error]).toEqual([1, undefined]);
    const second = await dialWs(opened.port);
    const lost = await opened.stream(1);
    second.terminate();
    await lost.until(() => lost.closes === 1);
    expect(lost.closes).toBe(1);
  });
});

describe("over TLS", () => {
  it("works on wss, and shows the TLS side", async () => {
    const { server: tls } = await testCertificates();
    opened = await open({ kind: "wss", tls });
    const client = new WebSocket(`wss://127.0.0.1:${opened.port}/`, ["mqtt"], { rejectUnauthorized: false });
    await once(client, "open");
    client.send(CONNECT);
    const server = await opened.stream();
    await server.until(() => server.bytes === CONNECT.length);
    expect(server.stream.info).toMatchObject({ transport: "wss", secure: true, tlsVersion: "TLSv1.3" });
    server.stream.write(Buffer.from("x"));
    const [data] = await once(client, "message");
    expect(data.toString()).toBe("x");
    client.terminate();
    await server.until(() => server.closes === 1);
    const plain = await dial(opened.port);
    const answer = readBytes(plain, 1);
    plain.write("GET / HTTP/1.1\r\n\r\n");
    await expect(answer).rejects.toThrow("closed");
    expect(opened.reasons).toEqual(["tls"]);
  });
});
