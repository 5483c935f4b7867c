import { describe, expect, it } from "vitest";
import { cores, type TestCore } from "../support.ts";

/** The table of well-formed sequences (Unicode, table 3-7), read as slowly and plainly as possible. */
function isWellFormed(bytes: Uint8Array, nulAllowed: boolean): boolean {
  const between = (at: number, low: number, high: number) => bytes[at] >= low && bytes[at] <= high;
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at];
    if (first <= 0x7f) {
      if (first === 0 && !nulAllowed) return false;
      at += 1;
    } else if (first >= 0xc2 && first <= 0xdf) {
      if (!between(at + 1, 0x80, 0xbf)) return false;
      at += 2;
    } else if (first >= 0xe0 && first <= 0xef) {
      const low = first === 0xe0 ? 0xa0 : 0x80;
      const high = first === 0xed ? 0x9f : 0xbf;
      if (!between(at + 1, low, high) || !between(at + 2, 0x80, 0xbf)) return false;
      at += 3;
    } else if (first >= 0xf0 && first <= 0xf4) {
      const low = first === 0xf0 ? 0x90 : 0x80;
      const high = first === 0xf4 ? 0x8f : 0xbf;
      if (!between(at + 1, low, high) || !between(at + 2, 0x80, 0xbf) || !between(at + 3, 0x80, 0xbf))
        return false;
      at += 4;
    } else return false;
  }
  return true;
}

function verdicts(core: TestCore, bytes: Uint8Array): [string: boolean, payload: boolean] {
  const { exports } = core;
  // Continuation bytes all around: a read past the end would complete a character there.
  const ptr = core.place(bytes, 0x80);
  return [
    exports.validateUtf8(ptr, bytes.length) !== 0,
    exports.validateUtf8Payload(ptr, bytes.length) !== 0,
  ];
}

function check(core: TestCore, bytes: Uint8Array): void {
  const expected = [isWellFormed(bytes, false), isWellFormed(bytes, true)];
  const found = verdicts(core, bytes);
  if (found[0] !== expected[0] || found[1] !== expected[1]) expect([bytes, found]).toEqual([bytes, expected]);
}

// Every value at which the table draws a line, and its neighbours.
const edges = [
  0x00, 0x01, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed,
  0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xfe, 0xff,
];

describe.each(cores)("UTF-8 on the $name build [MQTT-1.5.4-1] [MQTT-1.5.4-2]", (core) => {
  it("accepts every character but U+0000", () => {
    const encoder = new TextEncoder();
    for (let character = 1; character <= 0x10ffff; character++) {
      if (character >= 0xd800 && character <= 0xdfff) continue;
      const bytes = encoder.encode(String.fromCodePoint(character));
      const found = verdicts(core, bytes);
      if (!found[0] || !found[1]) expect([character, found]).toEqual([character, [true, true]]);
    }
    expect(verdicts(core, Uint8Array.of(0))).toEqual([false, true]);
  });

  it("knows every sequence of two bytes", () => {
    for (let value = 0; value < 0x10000; value++) check(core, Uint8Array.of(value >> 8, value & 0xff));
  });

  it("knows every sequence of up to four edge values", () => {
    check(core, new Uint8Array());
    for (const a of edges) {
      check(core, Uint8Array.of(a));
      for (const b of edges) {
        for (const c of edges) {
          check(core, Uint8Array.of(a, b, c));
          for (const d of edges) check(core, Uint8Array.of(a, b, c, d));
        }
      }
    }
  });

  it("finds a bad byte at every place of every length around its steps of 16", () => {
    for (const length of [1, 2, 7, 15, 16, 17, 31, 32, 33, 47, 48, 64, 65]) {
      for (let at = 0; at < length; at++) {
        for (const tail of [
          [0xff],
          [0x00],
          [0xc3, 0xa9],
          [0xe6, 0xb8, 0xa9],
          [0xf0, 0x9f, 0xa6, 0x86],
          [0xed, 0xa0, 0x80],
        ]) {
          const bytes = new Uint8Array(length).fill(0x61);
          bytes.set(tail.slice(0, length - at), at);
          check(core, bytes);
        }
      }
    }
  });

  it("agrees with the platform's own decoder", () => {
    const strict = new TextDecoder("utf-8", { fatal: true });
    for (const a of edges.filter((value) => value > 0)) {
      for (const b of edges.filter((value) => value > 0)) {
        const bytes = Uint8Array.of(0x61, a, b, 0x80);
        let valid = true;
        try {
          strict.decode(bytes);
        } catch {
          valid = false;
        }
        expect(verdicts(core, bytes)).toEqual([valid, valid]);
      }
    }
  });
});
