import { once } from "node:events";
import { type AddressInfo, connect, createServer, Socket } from "node:net";
import { Duplex, PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { CLOSE_TIMEOUTS_AT_MOST, CloseDeadline } from "../../../src/transport/streams/close-deadline.ts";
import { foreignStream, MAX_CHUNK } from "../../../src/transport/streams/socket-stream.ts";
import {
  closed,
  closesAtDeadline,
  dial,
  open,
  passes,
  pauseBehindEachChunk,
  Recorder,
  readBytes,
} from "../helpers.ts";

function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at += 1) bytes[at] = (at * 31 + (at >> 8)) & 255;
  return bytes;
}

/** Both ends of a connection that no listener of ours accepted. */
async function socketPair(): Promise<{ client: Socket; socket: Socket }> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [socket] = (await once(server, "connection")) as [Socket];
  server.close();
  return { client, socket };
}

describe("a stream over a TCP socket", () => {
  it("delivers what the client sends and writes what it is given", async () => {
    const opened = await open({ kind: "tcp" });
    const client = await dial(opened.port);
    client.write("hello");
    const server = await opened.stream();
    await server.until(() => server.bytes === 5);
    expect(server.received.toString()).toBe("hello");
    server.stream.write(Buffer.from("answer"));
    expect((await readBytes(client, 6)).toString()).toBe("answer");
    client.destroy();
  });

  it("says where the client comes from, also after either side has ended, and to a logger", async () => {
    const opened = await open({ kind: "tcp" });
    const leave = [
      (client: Socket) => client.end(),
      (_client: Socket, server: Recorder) => server.stream.end(),
      (_client: Socket, server: Recorder) => server.stream.destroy(),
    ];
    for (const [index, act] of leave.entries()) {
      const client = await dial(opened.port);
      client.resume();
      const { localPort } = client;
      const server = await opened.stream(index);
      act(client, server);
      await server.until(() => server.ends + server.closes > 0);
      server.stream.end();
      await server.until(() => server.closes === 1);
      expect(JSON.parse(JSON.stringify(server.stream.info))).toEqual({
        transport: "tcp",
        secure: false,
        remoteAddress: "127.0.0.1",
        remotePort: localPort,
        localPort: opened.port,
        loopback: true,
      });
    }
  });

  it("has nothing pending behind a write the kernel took", async () => {
    const opened = await open({ kind: "tcp" });
    const client = await dial(opened.port);
    const server = await opened.stream();
    server.stream.write(pattern(100));
    expect(server.stream.pendingBytes).toBe(0);
    await readBytes(client, 100);
    expect(server.drains).toBe(0);
    client.destroy();
  });

  it("shows what a slow reader has not taken, and tells once when all of it has gone", async () => {
    const opened = await open({ kind: "tcp" });
    const client = await dial(opened.port);
    client.pause();
    const server = await opened.stream();
    const sent: Buffer[] = [];
    while (server.stream.pendingBytes < 1_000_000) {
      sent.push(pattern(65_000 + sent.length));
      server.stream.write(sent[sent.length - 1]);
    }
    expect(server.drains).toBe(0);
    const total = sent.reduce((sum, part) => sum + part.length, 0);
    const received = await readBytes(client, total);
    expect(received.equals(Buffer.concat(sent))).toBe(true);
    await server.until(() => server.drains > 0);
    expect(server.stream.pendingBytes).toBe(0);
    expect(server.drains).toBe(1);
    client.destroy();
  });

  it("tells of a drain again after every time bytes stayed behind", async () => {
    const opened = await open({ kind: "tcp" });
    const client = await dial(opened.port);
    const server = await opened.stream();
    for (let round = 1; round <= 3; round += 1) {
      client.pause();
      let total = 0;
      while (server.stream.pendingBytes === 0) {
        server.stream.write(pattern(200_000));
        total += 200_000;
      }
      await Promise.all([readBytes(client, total), server.until(() => server.drains === round)]);
      expect(server.stream.pendingBytes).toBe(0);
    }
    client.destroy();
  });

  it("delivers nothing while paused, and everything in order afterwards", async () => {
    const opened = await open({ kind: "tcp" });
    const bytes = pattern(3_000_000);
    opened.onStream = pauseBehindEachChunk;
    const client = await dial(opened.port);
    client.end(bytes);
    const server = await opened.stream();
    await server.until(() => server.ends === 1);
    expect(server.received.equals(bytes)).toBe(true);
    client.destroy();
  });

  it("holds a sender back while paused", async () => {
    const opened = await open({ kind: "tcp" });
    opened.onStream = (recorder) => {
      recorder.onChunk = () => recorder.stream.pause();
    };
    const client = await dial(opened.port);
    const server = await opened.stream();
    client.write("x");
    await server.until(() => server.bytes === 1);
    const size = 64 * 1_048_576;
    client.write(Buffer.alloc(size));
    opened.onStream = undefined;
    await passes(opened, await dial(opened.port));
    expect(server.bytes).toBe(1);
    expect(client.writableLength).toBeGreaterThan(0);
    server.onChunk = undefined;
    server.stream.resume();
    await server.until(() => server.bytes === size + 1);
    client.destroy();
  });

  it("answers a client that has already sent its end", async () => {
    const opened = await open({ kind: "tcp" });
    const client = connect({ port: opened.port, allowHalfOpen: true });
    client.end("question");
    const server = await opened.stream();
    await server.until(() => server.ends === 1);
    expect(server.closes).toBe(0);
    server.stream.write(Buffer.from("answer"));
    server.stream.end();
    expect((await readBytes(client, 6)).toString()).toBe("answer");
    await server.until(() => server.closes === 1);
    expect(server.error).toBeUndefined();
  });

  it("end() sends all that is pending to a slow reader, even while the client keeps sending", async () => {
    const opened = await open({ kind: "tcp" });
    const client = await dial(opened.port);
    client.pause();
    const server = await opened.stream();
    let total = 0;
    while (server.stream.pendingBytes < 500_000) {
      server.stream.write(pattern(100_000));
      total += 100_000;
    }
    server.stream.end();
    client.write(pattern(200_000));
    await readBytes(client, total);
    client.end();
    await server.until(() => server.closes === 1);
    expect(server.bytes).toBe(0);
    expect(server.error).toBeUndefined();
  });

  it("does nothing after end(), and closes once", async () => {
    const opened = await open({ kind: "tcp" });
    const client = await dial(opened.port);
    const server = await opened.stream();
    server.stream.write(Buffer.from("last"));
    server.stream.end();
    server.stream.end();
    server.stream.write(Buffer.from("never"));
    const received = await readBytes(client, 4);
    await server.until(() => server.closes === 1);
    server.stream.write(Buffer.from("never"));
    server.stream.destroy();
    expect(received.toString()).toBe("last");
    expect(server.closes).toBe(1);
    expect(server.ends).toBe(0);
  });

  it("destroy() closes at once and reports no error", async () => {
    const opened = await open({ kind: "tcp" });
    const client = await dial(opened.port);
    const server = await opened.stream();
    const gone = closed(client);
    server.stream.destroy();
    await server.until(() => server.closes === 1);
    await gone;
    expect(server.error).toBeUndefined();
  });

  it("hands over the error of a connection that was reset", async () => {
    const opened = await open({ kind: "tcp" });
    const client = await dial(opened.port);
    const server = await opened.stream();
    client.resetAndDestroy();
    await server.until(() => server.closes === 1);
    expect(server.error).toMatchObject({ code: "ECONNRESET" });
  });
});

describe("a stream an embedder brings", () => {
  it("works over any Duplex, with chunks above 64 KiB split", async () => {
    const bytes = pattern(3 * MAX_CHUNK + 5);
    const toClient = new PassThrough();
    const input = new PassThrough({ highWaterMark: 1_048_576 });
    const recorder = new Recorder(foreignStream(Duplex.from({ readable: input, writable: toClient })));
    recorder.stream.open(recorder);
    input.end(bytes);
    await recorder.until(() => recorder.ends === 1);
    expect(recorder.received.equals(bytes)).toBe(true);
    expect(Math.max(...recorder.chunks.map((chunk) => chunk.length))).toBeLessThanOrEqual(MAX_CHUNK);
    recorder.stream.write(Buffer.from("out"));
    await recorder.until(() => recorder.drains === 1);
    expect(toClient.read().toString()).toBe("out");
    expect(recorder.stream.info.transport).toBe("stream");
    expect(recorder.stream.info.loopback).toBe(false);
  });

  it("keeps the rest of a large chunk back while paused", async () => {
    const bytes = pattern(4 * MAX_CHUNK);
    const duplex = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
    const recorder = new Recorder(foreignStream(duplex));
    recorder.onChunk = () => recorder.stream.pause();
    recorder.stream.open(recorder);
    duplex.push(bytes);
    for (let count = 1; count <= 4; count += 1) {
      await recorder.until(() => recorder.chunks.length === count);
      await new Promise((resolve) => setImmediate(resolve));
      expect(recorder.chunks.length).toBe(count);
      recorder.stream.resume();
    }
    expect(recorder.received.equals(bytes)).toBe(true);
  });

  it("knows a TCP socket, and takes its half-closed client's answer", async () => {
    const { client, socket } = await socketPair();
    const recorder = new Recorder(foreignStream(socket));
    recorder.stream.open(recorder);
    client.end("x");
    await recorder.until(() => recorder.ends === 1);
    recorder.stream.write(Buffer.from("late"));
    recorder.stream.end();
    expect((await readBytes(client, 4)).toString()).toBe("late");
    expect(recorder.stream.info).toMatchObject({ transport: "tcp", remoteAddress: "127.0.0.1" });
  });

  it("splits what came in a pause too, where a socket gives it back in one piece", async () => {
    const { client, socket } = await socketPair();
    const recorder = new Recorder(foreignStream(socket));
    recorder.onChunk = () => recorder.stream.pause();
    const bytes = pattern(3 * MAX_CHUNK + 5);
    socket.pause();
    socket.unshift(bytes.subarray(1));
    socket.unshift(bytes.subarray(0, 1));
    recorder.stream.open(recorder);
    for (let count = 1; recorder.bytes < bytes.length; count += 1) {
      await recorder.until(() => recorder.chunks.length === count);
      recorder.stream.resume();
    }
    expect(recorder.received.equals(bytes)).toBe(true);
    expect(Math.max(...recorder.chunks.map((chunk) => chunk.length))).toBeLessThanOrEqual(MAX_CHUNK);
    client.destroy();
    recorder.stream.destroy();
  });

  it("leaves the socket's data to listeners that were there before", async () => {
    const { client, socket } = await socketPair();
    const overheard: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => overheard.push(chunk));
    const recorder = new Recorder(foreignStream(socket));
    recorder.stream.open(recorder);
    client.end("hello");
    await recorder.until(() => recorder.ends === 1);
    expect(recorder.received.toString()).toBe("hello");
    expect(Buffer.concat(overheard).toString()).toBe("hello");
    recorder.stream.destroy();
  });

  it("takes nothing as sent where a socket of a class of its own may keep the bytes", async () => {
    class Keeping extends Socket {}
    expect(foreignStream(new Keeping()).takesAtOnce).toBe(false);
    expect(foreignStream(new Socket()).takesAtOnce).toBe(true);
  });

  it("reports a close that came before open()", async () => {
    const duplex = new PassThrough();
    const stream = foreignStream(duplex);
    duplex.destroy(new Error("gone"));
    await new Promise((resolve) => setImmediate(resolve));
    const recorder = new Recorder(stream);
    stream.open(recorder);
    await recorder.until(() => recorder.closes === 1);
    expect(recorder.error?.message).toBe("gone");
  });
});

describe("the deadline of a close", () => {
  class Closing {
    pendingBytes = 1_000;
    checks = 0;
    #resolve: () => void = () => {};
    readonly destroyed = new Promise<void>((resolve) => {
      this.#resolve = resolve;
    });
    destroy(): void {
      this.#resolve();
    }
  }

  it("destroys where no byte leaves", async () => {
    const closing = new Closing();
    new CloseDeadline(closing, 5);
    await closing.destroyed;
  });

  it("waits while bytes leave, but not for ever", async () => {
    let asked = 0;
    let resolve: () => void = () => {};
    const destroyed = new Promise<void>((done) => {
      resolve = done;
    });
    new CloseDeadline(
      {
        get pendingBytes() {
          asked += 1;
          return 1_000_000 - asked;
        },
        destroy: () => resolve(),
      },
      2,
    );
    await destroyed;
    // Once at the start, then at every check.
    expect(asked).toBe(CLOSE_TIMEOUTS_AT_MOST + 1);
  });

  it("closes a client that never sends its own end", async () => {
    const opened = await open({ kind: "tcp" });
    const client = connect({ port: opened.port, allowHalfOpen: true });
    const server = await opened.stream();
    client.resume();
    const ended = once(client, "end");
    await closesAtDeadline(server, ended);
    client.destroy();
  });
});
