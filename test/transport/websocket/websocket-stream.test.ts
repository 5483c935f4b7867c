// Bytes over a WebSocket: what comes in and out, in which pieces, how fast, and how it ends.
import { once } from "node:events";
import { describe, expect, it } from "vitest";
import { createWebSocketStream, WebSocket } from "ws";
import { MAX_CHUNK } from "../../../src/transport/streams/socket-stream.ts";
import { testCertificates } from "../tls/certificates.ts";
import {
  CONNECT,
  closesAtDeadline,
  dial,
  open,
  passes,
  pauseBehindEachChunk,
  readBytes,
} from "../helpers.ts";
import { closeCode, dialWs, rawSocket } from "./ws-clients.ts";

describe("a stream over WebSocket", () => {
  it("says where the client comes from", async () => {
    const opened = await open({ kind: "ws" });
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
    const opened = await open({ kind: "ws" });
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
    const opened = await open({ kind: "ws" });
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
    const opened = await open({ kind: "ws" });
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
    const opened = await open({ kind: "ws" }, { webSocketMaxPayload: 1_000 });
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
    const opened = await open({ kind: "ws" });
    opened.onStream = pauseBehindEachChunk;
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
    const opened = await open({ kind: "ws" });
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
    const opened = await open({ kind: "ws" });
    opened.onStream = (recorder) => {
      recorder.onChunk = () => recorder.stream.pause();
    };
    const client = await dialWs(opened.port);
    const server = await opened.stream();
    client.send(Buffer.from("x"));
    await server.until(() => server.bytes === 1);
    for (let sent = 0; sent < 64; sent += 1) client.send(Buffer.alloc(1_000_000));
    opened.onStream = undefined;
    await passes(opened, createWebSocketStream(await dialWs(opened.port)));
    expect(server.bytes).toBe(1);
    expect(client.bufferedAmount).toBeGreaterThan(0);
    server.onChunk = undefined;
    server.stream.resume();
    await server.until(() => server.bytes === 64_000_001);
    client.terminate();
  });

  it("shows what a slow reader has not taken, and tells when it has gone", async () => {
    const opened = await open({ kind: "ws" });
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
    const opened = await open({ kind: "ws" });
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
    const opened = await open({ kind: "ws" });
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
    const opened = await open({ kind: "ws" });
    const client = await dialWs(opened.port);
    const server = await opened.stream();
    client.pause();
    await closesAtDeadline(server);
    client.terminate();
  });

  it("tells of the client's close and of a lost connection", async () => {
    const opened = await open({ kind: "ws" });
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
    const opened = await open({ kind: "wss", tls });
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
