import { once } from "node:events";
import type { Duplex } from "node:stream";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { describe, expect, it } from "vitest";
import { firstProtocol } from "../../../src/transport/reception/first-byte.ts";
import { CONNECT, closed, dial, type Opened, open, readBytes, writeParts } from "../helpers.ts";
import { certificates, dialTls, useTls } from "../tls/tls-clients.ts";

const UPGRADE = Buffer.from(
  "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
);
const FRAME = Buffer.concat([Buffer.from([0x82, 0x80 | CONNECT.length, 0, 0, 0, 0]), CONNECT]);
const MQTT = Buffer.concat([CONNECT, Buffer.from("c000", "hex")]);

useTls();

async function openAuto(limits = {}): Promise<Opened> {
  return open({ kind: "auto", tls: certificates.server }, limits);
}

it("knows each protocol by its first byte", () => {
  for (let byte = 0; byte < 256; byte += 1) {
    const expected = byte === 0x10 ? "mqtt" : byte === 0x16 ? "tls" : byte === 0x47 ? "http" : "unknown";
    expect(firstProtocol(byte)).toBe(expected);
  }
});

describe("a shared port [NET-7, NET-8]", () => {
  const dialers: [string, (port: number) => Promise<Duplex>, string, string][] = [
    ["plain", dial, "tcp", "ws"],
    ["inside TLS", dialTls, "tls", "wss"],
  ];
  for (const [where, dialIt, mqtt, webSocket] of dialers) {
    it(`takes MQTT ${where}, its first bytes split anywhere`, async () => {
      const listener = await openAuto();
      for (let split = 1; split <= MQTT.length; split += 1) {
        const client = await dialIt(listener.port);
        await writeParts(client as TLSSocket, MQTT.subarray(0, split), MQTT.subarray(split));
        const server = await listener.stream(split - 1);
        await server.until(() => server.bytes === MQTT.length);
        expect(server.received.equals(MQTT)).toBe(true);
        expect(server.stream.info.transport).toBe(mqtt);
        server.stream.write(Buffer.from("ok"));
        expect((await readBytes(client as TLSSocket, 2)).toString()).toBe("ok");
        client.destroy();
      }
      expect(listener.reasons).toEqual([]);
    });

    it(`takes a WebSocket ${where}, its first bytes split anywhere`, async () => {
      const listener = await openAuto();
      const all = Buffer.concat([UPGRADE, FRAME]);
      let count = 0;
      for (let split = 1; split <= all.length; split += 3) {
        const client = await dialIt(listener.port);
        client.resume();
        await writeParts(client as TLSSocket, all.subarray(0, split), all.subarray(split));
        const server = await listener.stream(count);
        count += 1;
        await server.until(() => server.bytes === CONNECT.length);
        expect(server.received.equals(CONNECT)).toBe(true);
        expect(server.stream.info.transport).toBe(webSocket);
        client.destroy();
      }
      expect(listener.reasons).toEqual([]);
    });

    it(`closes anything else ${where}`, async () => {
      const listener = await openAuto();
      for (const byte of [0x00, 0x20, 0x30, 0x50, 0xff]) {
        const client = await dialIt(listener.port);
        client.write(Buffer.from([byte, 1, 2, 3]));
        expect(await closed(client as TLSSocket)).toBe(false);
      }
      expect(listener.reasons).toEqual(Array(5).fill("upgrade"));
      expect(listener.recorders.length).toBe(0);
    });
  }

  it("does not take TLS inside TLS", async () => {
    const listener = await openAuto();
    const client = await dialTls(listener.port);
    client.write(Buffer.from([0x16, 3, 1]));
    await closed(client);
    expect(listener.reasons).toEqual(["tls"]);
  });

  it("without a certificate closes TLS and takes the rest", async () => {
    const opened = await open({ kind: "auto" });
    const tls = await dial(opened.port);
    tls.write(Buffer.from([0x16, 3, 1]));
    await closed(tls);
    expect(opened.reasons).toEqual(["tls"]);
    const client = await dial(opened.port);
    client.write(CONNECT);
    await opened.stream();
    client.destroy();
  });

  it("chooses mqtt and http/1.1 by ALPN", async () => {
    const listener = await openAuto();
    for (const [offered, chosen] of [
      [["http/1.1"], "http/1.1"],
      [["mqtt"], "mqtt"],
      [["http/1.1", "mqtt"], "mqtt"],
    ] as const) {
      const client = connectTls({
        port: listener.port,
        host: "127.0.0.1",
        rejectUnauthorized: false,
        ALPNProtocols: [...offered],
      });
      await once(client, "secureConnect");
      expect(client.alpnProtocol).toBe(chosen);
      client.destroy();
    }
  });

  it("waits for the first byte no longer than the deadline, plain and inside TLS", async () => {
    const listener = await openAuto({ handshakeTimeoutMs: 150 });
    const plain = await dial(listener.port);
    const secure = await dialTls(listener.port);
    await Promise.all([closed(plain), closed(secure)]);
    expect(listener.reasons).toEqual(["deadline", "deadline"]);
  });

  it("forgets a client that leaves before its first byte", async () => {
    const listener = await openAuto({ maxConnections: 1 });
    for (let round = 0; round < 3; round += 1) {
      const client = await dial(listener.port);
      client.end();
      await closed(client);
    }
    expect(listener.reasons).toEqual([]);
  });

  it("keeps every byte of a large first burst in order", async () => {
    const listener = await openAuto();
    const client = await dial(listener.port);
    const burst = Buffer.concat([CONNECT, Buffer.alloc(2_000_000, "abc")]);
    client.write(burst);
    const server = await listener.stream();
    await server.until(() => server.bytes === burst.length);
    expect(server.received.equals(burst)).toBe(true);
    client.destroy();
  });
});
