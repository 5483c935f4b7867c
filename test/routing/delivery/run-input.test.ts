// What a chunk left over and the next chunk, joined in one buffer that serves run after run: it must not be written to while
// a stream may still read it.
import { describe, expect, test } from "vitest";
import type { Connection } from "../../../src/connection/connection.ts";
import { Outbox } from "../../../src/connection/outbox.ts";
import { RunInput } from "../../../src/routing/delivery/run-input.ts";
import type { ByteStream } from "../../../src/transport/streams/stream.ts";

class Stream implements ByteStream {
  readonly info = {} as ByteStream["info"];
  readonly written: Uint8Array[] = [];
  pendingBytes = 0;
  readonly takesAtOnce: boolean;
  readonly #slow: boolean;
  constructor(takesAtOnce: boolean, slow: boolean) {
    this.takesAtOnce = takesAtOnce;
    this.#slow = slow;
  }
  write(bytes: Uint8Array): void {
    this.written.push(bytes);
    if (this.#slow) this.pendingBytes += bytes.length;
  }
  open(): void {}
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
}

/** Two runs of one receiver each; returns what the two streams were given, as it stands afterwards. */
function twoRuns(first: Stream): { first: string; second: string; shared: boolean } {
  const input = new RunInput();
  const second = new Stream(true, false);
  for (const [stream, rest, chunk] of [
    [first, "ab", "cdef"],
    [second, "uv", "wxyz"],
  ] as const) {
    const keeper = { turn: 1, held: { outboxes: 0 }, flushLater(): void {}, holdBack: () => false };
    const outbox = new Outbox({ outboxEmpty(): void {} }, stream, keeper);
    input.begin(Buffer.from(rest), Buffer.from(chunk));
    input.send({ outbox } as Connection, 1, 4);
    input.end();
  }
  const [a, b] = [first.written[0], second.written[0]];
  return {
    first: Buffer.from(a).toString(),
    second: Buffer.from(b).toString(),
    shared: a.buffer === b.buffer,
  };
}

describe("the input of a run", () => {
  test("is joined in one buffer, again and again, where streams take bytes at once", () => {
    expect(twoRuns(new Stream(true, false))).toEqual({ first: "vwxy", second: "vwxy", shared: true });
  });

  test.each([
    ["has not taken everything", new Stream(true, true)],
    ["may look at the bytes later", new Stream(false, false)],
    ["does both", new Stream(false, true)],
  ])("leaves the buffer to a stream that %s", (_, stream) => {
    expect(twoRuns(stream)).toEqual({ first: "bcde", second: "vwxy", shared: false });
  });

  test("what is kept of it survives the next run", () => {
    const input = new RunInput();
    input.begin(Buffer.from("ab"), Buffer.from("cdef"));
    const kept = input.keep(1);
    input.begin(Buffer.from("uv"), Buffer.from("wxyz"));
    expect(kept.toString()).toBe("bcdef");
    expect(input.from(1).toString()).toBe("vwxyz");
    expect(input.length).toBe(6);
  });

  test.each([1, 4_095, 4_096, 16_384, 65_535])(
    "%i bytes left over are kept for the next run, whole",
    (length) => {
      const input = new RunInput();
      const bytes = pattern(length + 10);
      input.begin(undefined, bytes);
      const kept = input.keep(10);
      expect(kept.equals(bytes.subarray(10))).toBe(true);
      input.begin(undefined, Buffer.alloc(100_000));
      const other = input.keep(0);
      expect(kept.equals(bytes.subarray(10))).toBe(true);
      input.begin(kept, Buffer.from("behind"));
      expect(input.from(0).equals(Buffer.concat([bytes.subarray(10), Buffer.from("behind")]))).toBe(true);
      expect(other.equals(Buffer.alloc(100_000))).toBe(true);
    },
  );

  test("a long rest is kept in memory that has served before, two rests never in the same", () => {
    const input = new RunInput();
    input.begin(undefined, pattern(10_000));
    const first = input.keep(0);
    const second = input.keep(5_000);
    expect(second.buffer).not.toBe(first.buffer);
    input.begin(first, pattern(1));
    expect(input.keep(1).buffer).toBe(first.buffer);
    expect(input.keep(1).buffer).not.toBe(second.buffer);
  });

  test("a rest that is not its own is left alone", () => {
    const input = new RunInput();
    const foreign = Buffer.from(pattern(20_000));
    input.begin(foreign, Buffer.from("x"));
    expect(input.keep(0).buffer).not.toBe(foreign.buffer);
  });
});

function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  for (let at = 0; at < length; at++) bytes[at] = (at * 31 + (at >> 8) * 7) & 255;
  return bytes;
}
