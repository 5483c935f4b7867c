// Accepted sockets are read into one buffer: nothing of one connection shows up on another, and what stands in front,
// behind or in a pause keeps its place.
import { once } from "node:events";
import { connect } from "node:net";
import { PassThrough } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import { shareReading } from "../../../src/transport/streams/shared-reading.ts";
import { type Opened, open } from "../helpers.ts";

let opened: Opened | undefined;
afterEach(() => opened?.close());

function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + seed * 17 + (i >> 9)) & 0xff;
  return bytes;
}

async function dial(port: number) {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  await once(socket, "connect");
  return socket;
}

describe("reading into one buffer", () => {
  it("is what plain sockets do here: the same memory comes again, from whichever socket", async () => {
    opened = await open({ kind: "tcp" });
    const seen = new Set<ArrayBufferLike>();
    let chunks = 0;
    opened.onStream = (recorder) => {
      recorder.onChunk = (chunk) => {
        seen.add(chunk.buffer);
        chunks++;
      };
    };
    for (let i = 0; i < 5; i++) {
      const client = await dial(opened.port);
      const server = await opened.stream(i);
      client.end(pattern(3_000, i));
      await server.until(() => server.ends === 1);
      client.destroy();
    }
    expect(chunks).toBeGreaterThanOrEqual(5);
    expect(seen.size).toBe(1);
  });

  it("is refused by everything that is no plain socket", () => {
    expect(shareReading(new PassThrough(), () => true)).toBe(false);
  });

  it("many sockets at once, paused now and then: each gets its own bytes in order", async () => {
    opened = await open({ kind: "auto" });
    opened.onStream = (recorder) => {
      let n = 0;
      recorder.onChunk = () => {
        if (++n % 3 !== 0) return;
        recorder.stream.pause();
        setImmediate(() => recorder.stream.resume());
      };
    };
    const port = opened.port;
    const sent = Array.from({ length: 8 }, (_, i) =>
      Buffer.concat([Buffer.from([0x10]), pattern(400_000, i)]),
    );
    const clients = await Promise.all(sent.map(() => dial(port)));
    clients.forEach((client, i) => {
      client.end(sent[i]);
    });
    const listening = opened;
    await listening.until(() => listening.recorders.length === 8);
    await Promise.all(listening.recorders.map((recorder) => recorder.until(() => recorder.ends === 1)));
    const got = listening.recorders.map((recorder) => recorder.received);
    for (const bytes of sent) expect(got.some((one) => one.equals(bytes))).toBe(true);
    for (const client of clients) client.destroy();
  });

  it("long packets: after eight chunks that end in one a little less is read at once, and nothing is lost", async () => {
    opened = await open({ kind: "tcp" });
    const lengths: number[] = [];
    opened.onStream = (recorder) => {
      recorder.onChunk = (chunk) => {
        lengths.push(chunk.length);
        recorder.stream.longRest?.();
      };
    };
    const client = await dial(opened.port);
    const server = await opened.stream();
    const sent = pattern(8_000_000, 5);
    client.end(sent);
    await server.until(() => server.ends === 1);
    expect(server.received.equals(sent)).toBe(true);
    expect(Math.max(...lengths.slice(8))).toBeLessThanOrEqual(57_344);
    client.destroy();
  });

  it("notices while paused that the peer has left", async () => {
    opened = await open({ kind: "tcp" });
    const client = await dial(opened.port);
    const server = await opened.stream();
    server.stream.pause();
    client.resetAndDestroy();
    await server.until(() => server.closes === 1);
    expect(server.bytes).toBe(0);
  });

  it("keeps what comes in a pause, and the end behind it", async () => {
    opened = await open({ kind: "tcp" });
    const client = await dial(opened.port);
    const server = await opened.stream();
    server.stream.pause();
    client.end("late");
    const other = await dial(opened.port);
    const second = await opened.stream(1);
    other.write("fence");
    await second.until(() => second.bytes === 5);
    expect([server.bytes, server.ends]).toEqual([0, 0]);
    server.stream.resume();
    await server.until(() => server.ends === 1);
    expect(server.received.toString()).toBe("late");
    client.destroy();
    other.destroy();
  });
});
