// Limits that act before a client is known.
import { connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import type { RawClient } from "../support/raw-client.ts";
import { BOTH, unique } from "../support/server.ts";
import { AROUND, limited, timeOf } from "./limited.ts";

function open(port: number, bytes?: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => {
      if (bytes !== undefined) socket.write(bytes);
      resolve(socket);
    });
    socket.once("error", reject);
  });
}

function closed(socket: Socket): Promise<void> {
  socket.on("error", () => undefined).resume();
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

for (const beyond of AROUND) {
  test.each(BOTH)(`maxPacketBeforeConnect 300, CONNECT of ${300 + beyond} bytes, MQTT %s`, (_name, version) =>
    limited({ maxPacketBeforeConnect: 300 }, async (server) => {
      const client = await server.open(version);
      const options = { clientId: unique(), username: "u" };
      const bare = client.wire.connect(options).length + 1; // a length of two bytes
      client.send(client.wire.connect({ ...options, username: "u".repeat(301 + beyond - bare) }));
      if (beyond <= 0) expect(await client.next("connack")).toMatchObject({ reason: 0 });
      else await client.expectClosed();
      await server.counted("maxPacketBeforeConnect", beyond > 0 ? 1 : 0);
    }),
  );

  test(`maxConnections 3: connection ${3 + beyond}`, () =>
    limited({ maxConnections: 3 }, async (server) => {
      for (let i = 0; i < 2 + beyond; i++) await server.connect(4);
      const last = await server.open(4);
      last.send(last.wire.connect({ clientId: unique() }));
      if (beyond <= 0) await last.next("connack");
      else await last.expectClosed();
      await server.counted("maxConnections", beyond > 0 ? 1 : 0);
    }));

  test(`maxConnectionRate 3: connection ${3 + beyond} of a second`, () =>
    limited({ maxConnectionRate: 3 }, async (server) => {
      const clients: RawClient[] = [];
      for (let i = 0; i < 3 + beyond; i++) clients.push(await server.open(4));
      for (const [i, client] of clients.entries()) {
        client.send(client.wire.connect({ clientId: unique() }));
        if (i < 3) await client.next("connack");
        else await client.expectClosed();
      }
      await server.counted("maxConnectionRate", beyond > 0 ? 1 : 0);
    }));

  test(`maxHandshakes 3: handshake ${3 + beyond} at a time`, () =>
    limited(
      { maxHandshakes: 3 },
      async (server) => {
        const waiting: Socket[] = [];
        for (let i = 0; i < 2 + beyond; i++) {
          const socket = await open(server.port, "GET /mqtt HTTP/1.1\r\n");
          waiting.push(socket.on("error", () => undefined));
        }
        // One that is finished gives its place back; so the others must have taken theirs first.
        await expect
          .poll(async () => {
            const socket = new WebSocket(`ws://127.0.0.1:${server.port}/mqtt`, "mqtt");
            const opened = await new Promise<boolean>((resolve) => {
              socket.once("open", () => resolve(true)).once("error", () => resolve(false));
            });
            socket.terminate();
            return opened;
          })
          .toBe(beyond <= 0);
        if (beyond > 0) expect(server.broker.metrics()["refused.handshakes"]).toBeGreaterThan(0);
        else await server.counted("maxHandshakes", 0);
        for (const socket of waiting) socket.destroy();
      },
      { listeners: [{ kind: "ws", port: 0 }] },
    ));

  test(`maxHandshakesPerAddress 3 of 4: an address with ${3 + beyond} half-open ones, and one that comes`, () =>
    limited(
      { maxHandshakes: 4, maxHandshakesPerAddress: 3 },
      async (server) => {
        const from = (host: number): Promise<Socket> =>
          open(server.port, `PROXY TCP4 10.0.0.${host} 10.0.0.99 4000 80\r\nGET /mqtt HTTP/1.1\r\n`);
        const half: Socket[] = [];
        const add = async (host: number): Promise<Socket> => {
          const socket = await from(host);
          half.push(socket.on("error", () => undefined).resume());
          return socket;
        };
        const [first, last] = [closed(await add(1)), beyond > 0];
        for (let i = 1; i < 3 + beyond; i++) await add(1);
        for (let host = 2; half.length < 4; host++) await add(host);
        // Streams of one listener are read in no certain order: the places must be taken before the next one asks.
        await server.counted("maxHandshakesPerAddress", 0);
        const probe = async (): Promise<boolean> => {
          const socket = await from(9);
          socket.write("Host: a\r\n\r\n");
          const answered = await new Promise<boolean>((resolve) => {
            socket.once("data", () => resolve(true)).once("close", () => resolve(false));
            socket.on("error", () => undefined);
          });
          socket.destroy();
          return answered; // 426: it was let in as far as to be answered
        };
        await expect
          .poll(async () => [await probe(), half.some((socket) => socket.closed)])
          .toEqual([last, last]);
        if (last) await first;
        else expect(server.broker.metrics()["refused.handshakes"]).toBeGreaterThan(0);
        const { "refused.handshakes_per_address": gaveWay = 0 } = server.broker.metrics();
        expect(gaveWay > 0).toBe(last);
        for (const socket of half) socket.destroy();
      },
      { listeners: [{ kind: "ws", port: 0, proxyProtocolFrom: ["127.0.0.1"] }] },
    ));

  test(`webSocketMaxPayload 2,000: a frame of ${2_000 + beyond} bytes`, () =>
    limited(
      { webSocketMaxPayload: 2_000 },
      async (server) => {
        const client = await server.connect(4, {}, { transport: "ws" });
        const head = client.wire.publish("t", Buffer.alloc(1_500)).length - 1_500;
        client.send(client.wire.publish("t", Buffer.alloc(2_000 - head + beyond)));
        if (beyond <= 0) await client.fence();
        else await client.expectClosed();
        await server.counted("webSocketMaxPayload", beyond > 0 ? 1 : 0);
      },
      { listeners: [{ kind: "ws", port: 0 }] },
    ));
}

test("webSocketMaxPayload: the close says 1009", () =>
  limited(
    { webSocketMaxPayload: 100 },
    async (server) => {
      const socket = new WebSocket(`ws://127.0.0.1:${server.port}/mqtt`, "mqtt");
      await new Promise((resolve) => socket.once("open", resolve));
      socket.send(Buffer.alloc(101));
      expect(await new Promise((resolve) => socket.once("close", resolve))).toBe(1009);
    },
    { listeners: [{ kind: "ws", port: 0 }] },
  ));

test("connectTimeout 1,200: whoever sends no CONNECT is closed, not earlier, and nobody else", () =>
  limited({ connectTimeout: 1_200 }, async (server) => {
    const [silent, slow] = [await server.open(4), await server.open(4)];
    const good = await server.connect(4);
    const bytes = slow.wire.connect({ clientId: unique() });
    slow.send(bytes.subarray(0, 5));
    const elapsed = await timeOf(Promise.all([silent.expectClosed(), slow.expectClosed()]));
    expect(elapsed).toBeGreaterThan(1_190);
    expect(elapsed).toBeLessThan(3_500);
    await good.fence();
    await server.counted("connectTimeout", 2);
  }));

test("handshakeTimeout 300: a handshake that does not end is closed, not earlier, and nobody else", () =>
  limited(
    { handshakeTimeout: 300 },
    async (server) => {
      const good = await server.connect(4, {}, { transport: "ws" });
      const slow = await open(server.port, "GET /mqtt HTTP/1.1\r\n");
      const elapsed = await timeOf(closed(slow));
      expect(elapsed).toBeGreaterThan(280);
      expect(elapsed).toBeLessThan(2_000);
      await good.fence();
      await server.counted("handshakeTimeout", 1);
    },
    { listeners: [{ kind: "ws", port: 0 }] },
  ));
