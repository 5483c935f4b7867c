import { describe, expect, it } from "vitest";
import { AddressList } from "../../../src/transport/reception/address-list.ts";
import { BINARY_BODY_AT_MOST, parseProxyHead } from "../../../src/transport/reception/proxy-protocol.ts";
import { CONNECT, closed, dial, open, writeParts } from "../helpers.ts";

const V1 = Buffer.from("PROXY TCP4 192.0.2.7 198.51.100.1 56324 1883\r\n");
const V1_IPV6 = Buffer.from("PROXY TCP6 2001:db8::7 2001:db8::1 56324 1883\r\n");
const SIGNATURE = "0d0a0d0a000d0a515549540a";
// PROXY, TCP over IPv4, 12 bytes: 192.0.2.7 -> 198.51.100.1, 56324 -> 1883.
const V2 = Buffer.from(`${SIGNATURE}2111000c${"c0000207"}${"c6336401"}${"dc04"}${"075b"}`, "hex");
// PROXY, TCP over IPv6, 36 bytes and a TLV of 4.
const V2_IPV6 = Buffer.from(
  `${SIGNATURE}21210028${"20010db8000000000000000000000007"}${"20010db8000000000000000000000001"}dc04075b${"04000100"}`,
  "hex",
);
const V2_LOCAL = Buffer.from(`${SIGNATURE}20000000`, "hex");

const source = { address: "192.0.2.7", port: 56_324 };
const sourceIPv6 = { address: "2001:db8::7", port: 56_324 };

const HEADS = [
  ["version 1, IPv4", V1, source],
  ["version 1, IPv6", V1_IPV6, sourceIPv6],
  ["version 1, unknown", Buffer.from("PROXY UNKNOWN\r\n"), undefined],
  ["version 1, unknown with the rest", Buffer.from("PROXY UNKNOWN ffff:: ffff:: 1 2\r\n"), undefined],
  ["version 2, IPv4", V2, source],
  ["version 2, IPv6 with a TLV", V2_IPV6, sourceIPv6],
  ["version 2, local", V2_LOCAL, undefined],
  ["version 2, Unix socket", Buffer.from(`${SIGNATURE}213100d8${"00".repeat(216)}`, "hex"), undefined],
] as const;

describe("the parser", () => {
  for (const [name, bytes, expected] of HEADS) {
    it(`reads ${name}, and wants more for every shorter piece`, () => {
      for (let length = 0; length < bytes.length; length += 1) {
        expect(parseProxyHead(bytes.subarray(0, length))).toEqual({ state: "more" });
      }
      const head = { state: "head", length: bytes.length, source: expected };
      expect(parseProxyHead(bytes)).toEqual(head);
      expect(parseProxyHead(Buffer.concat([bytes, CONNECT]))).toEqual(head);
    });
  }

  const wrong: [string, Buffer][] = [
    ["MQTT at once", CONNECT],
    ["a wrong letter", Buffer.from("PROXX")],
    ["a wrong byte in the signature", Buffer.from("0d0a0d0a01", "hex")],
    ["an address that is none", Buffer.from("PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n")],
    ["an address of the other family", Buffer.from("PROXY TCP4 ::1 ::1 1 2\r\n")],
    ["a port above 65535", Buffer.from("PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n")],
    ["a port with a leading zero", Buffer.from("PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n")],
    ["a missing field", Buffer.from("PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n")],
    ["a field too many", Buffer.from("PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n")],
    ["an unknown family", Buffer.from("PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n")],
    ["an unknown version", Buffer.from(`${SIGNATURE}31110000`, "hex")],
    ["an unknown command", Buffer.from(`${SIGNATURE}22110000`, "hex")],
    ["IPv4 addresses in 11 bytes", Buffer.from(`${SIGNATURE}2111000b${"00".repeat(11)}`, "hex")],
    ["IPv6 addresses in 35 bytes", Buffer.from(`${SIGNATURE}21210023${"00".repeat(35)}`, "hex")],
  ];
  for (const [name, bytes] of wrong) {
    it(`refuses ${name}`, () => {
      expect(parseProxyHead(bytes).state).toBe("bad");
    });
  }

  it("takes a version 1 line of 107 bytes and no longer one", () => {
    const line = (length: number) => Buffer.from(`${"PROXY UNKNOWN ".padEnd(length - 2, "x")}\r\n`);
    expect(parseProxyHead(line(106)).state).toBe("head");
    expect(parseProxyHead(line(107)).state).toBe("head");
    expect(parseProxyHead(line(108)).state).toBe("bad");
    expect(parseProxyHead(line(108).subarray(0, 106)).state).toBe("more");
  });

  it("takes a version 2 body up to its bound", () => {
    const head = (length: number) => {
      const bytes = Buffer.concat([V2, Buffer.alloc(length - 12)]);
      bytes.writeUInt16BE(length, 14);
      return bytes;
    };
    expect(parseProxyHead(head(BINARY_BODY_AT_MOST - 1)).state).toBe("head");
    expect(parseProxyHead(head(BINARY_BODY_AT_MOST)).state).toBe("head");
    expect(parseProxyHead(head(BINARY_BODY_AT_MOST + 1)).state).toBe("bad");
  });
});

describe("a listener behind a proxy", () => {
  it("takes the client's address from the head, wherever the bytes are split, and loses none behind it", async () => {
    const opened = await open({ kind: "tcp", proxyProtocolFrom: ["127.0.0.0/8"] });
    let count = 0;
    for (const head of [V1, V2, V2_IPV6]) {
      const all = Buffer.concat([head, CONNECT]);
      for (let split = 1; split < all.length; split += 1) {
        const client = await dial(opened.port);
        await writeParts(client, all.subarray(0, split), all.subarray(split));
        const server = await opened.stream(count);
        count += 1;
        await server.until(() => server.bytes === CONNECT.length);
        expect(server.received.equals(CONNECT)).toBe(true);
        expect(server.stream.info.remoteAddress).toBe(head === V2_IPV6 ? "2001:db8::7" : "192.0.2.7");
        expect(server.stream.info.remotePort).toBe(56_324);
        client.destroy();
      }
    }
    expect(opened.reasons).toEqual([]);
  });

  it("reads a head that arrives byte by byte", async () => {
    const opened = await open({ kind: "auto", proxyProtocolFrom: ["127.0.0.1"] });
    const client = await dial(opened.port);
    for (const byte of Buffer.concat([V2, CONNECT])) await writeParts(client, Buffer.from([byte]));
    const server = await opened.stream();
    await server.until(() => server.bytes === CONNECT.length);
    expect(server.received.equals(CONNECT)).toBe(true);
    expect(server.stream.info.remoteAddress).toBe("192.0.2.7");
    client.destroy();
  });

  it("keeps the proxy's address where the proxy speaks for itself", async () => {
    const opened = await open({ kind: "tcp", proxyProtocolFrom: ["127.0.0.1"] });
    const client = await dial(opened.port);
    client.write(V2_LOCAL);
    const server = await opened.stream();
    expect(server.stream.info.remoteAddress).toBe("127.0.0.1");
    client.destroy();
  });

  it("closes connections from any other address, whatever they send", async () => {
    const opened = await open({ kind: "tcp", proxyProtocolFrom: ["192.0.2.0/24", "::1"] });
    const client = await dial(opened.port);
    client.write(V1);
    await closed(client);
    expect(opened.recorders.length).toBe(0);
    expect(opened.reasons).toEqual(["proxy"]);
  });

  it("closes a connection that begins without a head", async () => {
    const opened = await open({ kind: "tcp", proxyProtocolFrom: ["127.0.0.1"] });
    const client = await dial(opened.port);
    client.write(CONNECT);
    await closed(client);
    expect(opened.reasons).toEqual(["proxy"]);
  });

  it("closes a connection whose head stays incomplete", async () => {
    const opened = await open({ kind: "tcp", proxyProtocolFrom: ["127.0.0.1"] }, { handshakeTimeoutMs: 100 });
    const client = await dial(opened.port);
    client.write(V1.subarray(0, 20));
    await closed(client);
    expect(opened.reasons).toEqual(["deadline"]);
  });
});

describe("a list of addresses", () => {
  it("holds addresses and ranges of both families", () => {
    const list = new AddressList(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"], "proxyProtocolFrom");
    expect(list.has("10.255.255.255")).toBe(true);
    expect(list.has("11.0.0.0")).toBe(false);
    expect(list.has("192.0.2.7")).toBe(true);
    expect(list.has("192.0.2.8")).toBe(false);
    expect(list.has("2001:db8:ffff::1")).toBe(true);
    expect(list.has("2001:db9::1")).toBe(false);
    expect(list.has("")).toBe(false);
  });

  for (const entry of [
    "",
    "proxy.example",
    "10.0.0.0/33",
    "::/129",
    "10.0.0.0/",
    "10.0.0.0/8/8",
    "10.0.0.0/-1",
  ]) {
    it(`refuses "${entry}" and names the option`, () => {
      expect(() => new AddressList(["10.0.0.1", entry], "proxyProtocolFrom")).toThrow(
        expect.objectContaining({ code: "ADDRESS_RANGE", path: "proxyProtocolFrom[1]" }),
      );
    });
  }
});
