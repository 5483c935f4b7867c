// Handshakes in progress, by address: who gives way to whom, at n-1, n and n+1 of an address's share.
import { describe, expect, test } from "vitest";
import { Handshakes, networkOf } from "../../../src/transport/reception/handshakes.ts";

const LIMITS = { maxHandshakes: 5, maxHandshakesPerAddress: 3, handshakeTimeoutMs: 4_000 };

class Places {
  readonly gone: string[] = [];
  readonly handshakes: Handshakes<string> = new Handshakes<string>(LIMITS, (name) => {
    this.gone.push(name);
    this.handshakes.end(name);
  });

  /** "a1" is a handshake of the address "a". */
  begin(names: string, now = 0): boolean[] {
    return names.split(" ").map((name) => this.handshakes.begin(name, name[0], now));
  }
}

describe("handshakes by address", () => {
  test("one address may have every place while nobody else wants one; its next is refused", () => {
    const places = new Places();
    expect(places.begin("a1 a2 a3 a4 a5 a6")).toEqual([true, true, true, true, true, false]);
    expect(places.gone).toEqual([]);
  });

  test.each([
    ["n-1", "a1 a2 b1 b2 c1", false, []],
    ["n", "a1 a2 a3 b1 b2", false, []],
    ["n+1", "a1 a2 a3 a4 b1", true, ["a1"]],
  ])("the address with most holds %s of its share", (_n, held, admitted, gone) => {
    const places = new Places();
    places.begin(held);
    expect(places.begin("d1")).toEqual([admitted]);
    expect(places.gone).toEqual(gone);
    expect(places.handshakes.size).toBe(5);
  });

  test("the newcomer's address may hold n-1 of its share, not n", () => {
    const places = new Places();
    places.begin("a1 a2 a3 a4 a5");
    expect(places.begin("b1 b2 b3")).toEqual([true, true, false]);
    expect(places.gone).toEqual(["a1", "a2"]);
  });

  test("a stalled one gives way to anybody, the oldest of the address with most first", () => {
    const places = new Places();
    places.begin("a1 b1 b2 c1 c2");
    expect(places.begin("b3", 999)).toEqual([false]);
    expect(places.begin("b3", 1_000)).toEqual([true]);
    expect(places.gone).toEqual(["b1"]);
  });

  test("what has ended gives its place back, once", () => {
    const places = new Places();
    places.begin("a1 a2 a3 a4 a5");
    places.handshakes.end("a2");
    places.handshakes.end("a2");
    expect(places.begin("a6 a7")).toEqual([true, false]);
    for (const name of ["a1", "a3", "a4", "a5", "a6"]) places.handshakes.end(name);
    expect(places.handshakes.size).toBe(0);
  });
});

test.each([
  ["192.0.2.7", "192.0.2.7"],
  ["", ""],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"],
  ["2001:db8:1:2::6", "2001:db8:1:2::"],
  ["2001:db8::1", "2001:db8:0:0::"],
  ["2001:db8::2:3:4:5:6", "2001:db8:0:2::"],
  ["::1", "0:0:0:0::"],
  ["::ffff:192.0.2.7", "::ffff:192.0.2.7"],
])("%s counts with %s", (address, network) => {
  expect(networkOf(address)).toBe(network);
});
