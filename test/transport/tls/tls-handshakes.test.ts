// Handshakes in progress: how many there may be, how long they may take, and what begins one.
import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, createServer as createTcpServer } from "node:net";
import { connect } from "node:tls";
import { describe, expect, it } from "vitest";
import { CONNECT, closed, dial, readBytes, writeParts } from "../helpers.ts";
import { dialTls, useTls } from "./tls-clients.ts";

const openTls = useTls();

describe("handshakes in progress", () => {
  /** The bytes of a ClientHello. */
  async function clientHello(): Promise<Buffer> {
    const server = createTcpServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1" });
    client.on("error", () => {});
    const [socket] = await once(server, "connection");
    const [hello] = await once(socket, "data");
    socket.destroy();
    server.close();
    return hello;
  }

  it("are bounded: n-1 and n are served, n+1 is closed at once, and a finished one gives its place back", async () => {
    const listener = await openTls({}, { maxHandshakes: 2 });
    const hello = await clientHello();
    const first = await dial(listener.port);
    first.write(hello);
    await once(first, "data");
    const second = await dial(listener.port);
    second.write(hello);
    await once(second, "data");
    expect(listener.reasons).toEqual([]);
    const third = await dial(listener.port);
    third.write(hello);
    expect(await closed(third)).toBe(false);
    expect(listener.reasons).toEqual(["handshakes"]);
    const gone = closed(second);
    second.destroy();
    await gone;
    await listener.until(() => listener.reasons.length === 2);
    const served = await dialTls(listener.port);
    await listener.stream();
    expect(listener.reasons).toEqual(["handshakes", "tls"]);
    served.destroy();
    first.destroy();
  });

  it("must be finished in time", async () => {
    const listener = await openTls({}, { handshakeTimeoutMs: 150, maxHandshakes: 1 });
    const client = await dial(listener.port);
    client.write(await clientHello());
    await closed(client);
    expect(listener.reasons).toEqual(["deadline"]);
    const served = await dialTls(listener.port);
    await listener.stream();
    served.destroy();
  });

  it("begin with the first byte: a silent connection takes no place, but has the same deadline", async () => {
    const listener = await openTls({}, { handshakeTimeoutMs: 400, maxHandshakes: 1 });
    const silent = await dial(listener.port);
    const served = await dialTls(listener.port);
    await listener.stream();
    await closed(silent);
    expect(listener.reasons).toEqual(["deadline"]);
    served.destroy();
  });

  it("end with a client that leaves in the middle", async () => {
    const listener = await openTls({}, { maxHandshakes: 1 });
    const client = connectTcp({ port: listener.port });
    client.on("error", () => {});
    client.end((await clientHello()).subarray(0, 20));
    await closed(client);
    await listener.until(() => listener.reasons.length === 1);
    expect(listener.reasons).toEqual(["tls"]);
    const served = await dialTls(listener.port);
    await listener.stream();
    served.destroy();
  });

  it("survive a ClientHello that arrives byte by byte", async () => {
    const listener = await openTls();
    const hello = await clientHello();
    const client = await dial(listener.port);
    const answer = readBytes(client, 100);
    for (const byte of hello) await writeParts(client, Buffer.from([byte]));
    expect((await answer)[0]).toBe(0x16);
    client.destroy();
  });

  it("do not begin with anything but a ClientHello", async () => {
    const listener = await openTls();
    for (const bytes of [CONNECT, Buffer.from("GET / HTTP/1.1\r\n\r\n"), Buffer.from([0])]) {
      const client = await dial(listener.port);
      client.write(bytes);
      expect(await closed(client)).toBe(false);
    }
    expect(listener.reasons).toEqual(["tls", "tls", "tls"]);
  });
});
