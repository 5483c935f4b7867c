// The same conversation over every transport and every version, and what a broker knows of a client that came that way.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { testCertificate } from "../../support/certificate.ts";
import type { RawClient, Target } from "../../support/raw-client.ts";
import { ALL, BOTH, ours, PEER, TestServer, unique } from "../../support/server.ts";

let directory: string;
let server: TestServer;

beforeAll(async () => {
  if (PEER) return;
  directory = mkdtempSync(join(tmpdir(), "millrace-transports-"));
  const tls = await testCertificate();
  server = new TestServer({
    listeners: [
      { kind: "tcp", port: 0 },
      { kind: "tls", port: 0, tls },
      { kind: "ws", port: 0 },
      { kind: "wss", port: 0, tls },
      { kind: "auto", port: 0, tls },
      { kind: "unix", path: join(directory, "socket") },
      { kind: "tcp", port: 0, proxyProtocolFrom: ["127.0.0.1"] },
      { kind: "tls", port: 0, tls: { ...tls, minVersion: "1.0" } },
    ],
  });
  await server.start();
});
afterAll(async () => {
  if (PEER) return;
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

const [TCP, TLS, WS, WSS, AUTO, , PROXY, OLD_TLS] = [0, 1, 2, 3, 4, 5, 6, 7];
const port = (index: number): number => server.broker.listeners[index].port;

const WAYS: [string, () => Partial<Target>][] = [
  ["TCP", () => ({ port: port(TCP) })],
  ["TLS", () => ({ port: port(TLS), transport: "tls" })],
  ["WebSocket", () => ({ port: port(WS), transport: "ws" })],
  ["WSS", () => ({ port: port(WSS), transport: "wss" })],
  ["TCP on a shared port", () => ({ port: port(AUTO) })],
  ["TLS on a shared port", () => ({ port: port(AUTO), transport: "tls" })],
  ["WebSocket on a shared port", () => ({ port: port(AUTO), transport: "ws" })],
  ["WSS on a shared port", () => ({ port: port(AUTO), transport: "wss" })],
  ["a Unix socket", () => ({ transport: "unix", path: join(directory, "socket") })],
];

/** Every QoS, a Will, and a packet that takes many chunks or frames. */
async function converse(client: RawClient, topic: string): Promise<void> {
  await client.subscribe({ filter: topic, qos: 2 });
  for (const qos of [0, 1, 2] as const) {
    const text = qos === 2 ? "x".repeat(200_000) : `${qos}`;
    await client.publish(topic, text, { qos });
    const message = await client.receive();
    expect([message.qos, message.text.length]).toEqual([qos, text.length]);
  }
}

describe.each(WAYS)("over %s", (_way, target) => {
  ours.each(ALL)("MQTT %s, whole and a byte at a time", async (_name, version) => {
    const topic = unique("transport");
    const client = await server.connect(
      version,
      { will: { topic: `${topic}/will`, payload: "gone" } },
      target(),
    );
    await converse(client, topic);
    const id = client.id();
    await client.sendSplit(client.wire.publish(topic, "split", { qos: 1, id }));
    await client.of("puback", id);
    expect(await client.receive()).toMatchObject({ text: "split", qos: 1 });

    const watcher = await server.connect(version);
    await watcher.subscribe(`${topic}/will`);
    client.destroy();
    expect(await watcher.receive()).toMatchObject({ text: "gone" });
  });
});

describe.each(BOTH)("behind a proxy, MQTT %s", (_name, version) => {
  const binary = Buffer.from("0d0a0d0a000d0a515549540a2111000cc00002070a000001dc04075b", "hex");
  ours.each([
    ["version 1", Buffer.from("PROXY TCP4 192.0.2.7 10.0.0.1 56324 1883\r\n")],
    ["version 2", binary],
  ])("PROXY protocol %s: events name the client's address, not the proxy's", async (_what, head) => {
    const addresses: string[] = [];
    const stop = server.broker.on(
      "client.connected",
      ({ remoteAddress }) => void addresses.push(remoteAddress),
    );
    const client = await server.open(version, { port: port(PROXY) });
    client.send(head, client.wire.connect({ clientId: unique() }));
    expect(await client.next("connack")).toMatchObject({ reason: 0 });
    expect(addresses).toEqual(["192.0.2.7"]);
    await converse(client, unique("proxied"));
    stop();
  });

  ours("a connection without the head is closed", async () => {
    const client = await server.open(version, { port: port(PROXY) });
    client.send(client.wire.connect({ clientId: unique() }));
    await client.expectClosed();
  });
});

describe.each(["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const)("%s", (tlsVersion) => {
  const tls = { minVersion: tlsVersion, maxVersion: tlsVersion, ciphers: "DEFAULT@SECLEVEL=0" };
  const old = tlsVersion < "TLSv1.2";

  ours.each(BOTH)("[NET-5] carries MQTT %s where it is asked for", async (_name, version) => {
    const client = await server.connect(version, {}, { port: port(OLD_TLS), transport: "tls", tls });
    expect((client.stream as TLSSocket).getProtocol()).toBe(tlsVersion);
    await converse(client, unique("tls"));
  });

  ours(old ? "[NET-5] is refused by default" : "[NET-5] is there by default", async () => {
    const client = server.connect(5, {}, { port: port(TLS), transport: "tls", tls });
    if (old) await expect(client).rejects.toThrow();
    else await converse(await client, unique("tls"));
  });
});
