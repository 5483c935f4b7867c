import { once } from "node:events";
import { type AddressInfo, connect as connectTcp } from "node:net";
import { type ConnectionOptions, connect, createServer, type TLSSocket } from "node:tls";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import type { TlsOptions } from "../../src/transport/stream.ts";
import { presentedCertificate } from "../../src/transport/tls-handshake.ts";
import { type TestCertificates, testCertificates } from "./certificates.ts";
import { CONNECT, closed, dial, type Opened, open, readBytes, writeParts } from "./helpers.ts";

let certificates: TestCertificates;
let opened: Opened | undefined;
beforeAll(async () => {
  certificates = await testCertificates();
});
afterEach(async () => {
  await opened?.close();
  opened = undefined;
});

async function openTls(tls: Partial<TlsOptions> = {}, limits = {}): Promise<Opened> {
  opened = await open({ kind: "tls", tls: { ...certificates.server, ...tls } }, limits);
  return opened;
}

async function dialTls(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  await once(socket, "secureConnect");
  socket.on("error", () => {});
  return socket;
}

/** The session ticket a connection is given; in TLS 1.3 behind the handshake. */
async function ticketOf(port: number, options: ConnectionOptions = {}): Promise<Buffer> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  socket.on("error", () => {});
  const [ticket] = (await once(socket, "session")) as [Buffer];
  socket.destroy();
  return ticket;
}

describe("versions", () => {
  const old = "DEFAULT@SECLEVEL=0";
  for (const [version, tls] of [
    ["TLSv1", { minVersion: "1.0" }],
    ["TLSv1.1", { minVersion: "1.1" }],
    ["TLSv1.2", {}],
    ["TLSv1.3", {}],
  ] as const) {
    it(`speaks ${version}`, async () => {
      const listener = await openTls(tls);
      const client = await dialTls(listener.port, { minVersion: version, maxVersion: version, ciphers: old });
      client.write(CONNECT);
      const server = await listener.stream();
      await server.until(() => server.bytes === CONNECT.length);
      expect(client.getProtocol()).toBe(version);
      expect(server.stream.info).toMatchObject({ transport: "tls", secure: true, tlsVersion: version });
      client.destroy();
    });
  }

  for (const version of ["TLSv1", "TLSv1.1"] as const) {
    it(`refuses ${version} unless it is asked for`, async () => {
      const listener = await openTls();
      await expect(
        dialTls(listener.port, { minVersion: version, maxVersion: version, ciphers: old }),
      ).rejects.toThrow();
      await listener.until(() => listener.reasons.length === 1);
      expect(listener.reasons).toEqual(["tls"]);
      expect(listener.recorders.length).toBe(0);
    });
  }

  it("prefers the cheapest suite of 1.3, and takes the others", async () => {
    const listener = await openTls();
    const any = await dialTls(listener.port);
    expect(any.getCipher().standardName).toBe("TLS_AES_128_GCM_SHA256");
    const strong = await dialTls(listener.port, { ciphers: "TLS_AES_256_GCM_SHA384", minVersion: "TLSv1.3" });
    expect(strong.getCipher().standardName).toBe("TLS_AES_256_GCM_SHA384");
    any.destroy();
    strong.destroy();
  });

  it("does not lose 1.3 where 1.0 is asked for", async () => {
    const listener = await openTls({ minVersion: "1.0" });
    const client = await dialTls(listener.port);
    expect(client.getProtocol()).toBe("TLSv1.3");
    client.destroy();
  });

  it("keeps to a highest version", async () => {
    const listener = await openTls({ maxVersion: "1.2" });
    const client = await dialTls(listener.port);
    expect(client.getProtocol()).toBe("TLSv1.2");
    client.destroy();
  });

  it("refuses a lowest version above the highest", async () => {
    await expect(openTls({ minVersion: "1.3", maxVersion: "1.2" })).rejects.toMatchObject({
      code: "TLS_VERSIONS",
    });
  });
});

describe("a stream over TLS", () => {
  it("shows what is pending and tells when it has gone", async () => {
    const listener = await openTls();
    const client = await dialTls(listener.port);
    client.pause();
    const server = await listener.stream();
    let total = 0;
    while (server.stream.pendingBytes < 2_000_000) {
      server.stream.write(Buffer.alloc(100_000, total & 255));
      total += 100_000;
    }
    await readBytes(client, total);
    await server.until(() => server.drains > 0 && server.stream.pendingBytes === 0);
    client.end();
    await server.until(() => server.ends === 1);
    server.stream.end();
    await server.until(() => server.closes === 1);
    expect(server.error).toBeUndefined();
  });

  it("sends what is pending before it ends", async () => {
    const listener = await openTls();
    const client = await dialTls(listener.port);
    const server = await listener.stream();
    server.stream.write(Buffer.alloc(1_000_000, 7));
    server.stream.end();
    const received = await readBytes(client, 1_000_000);
    expect(received.every((byte) => byte === 7)).toBe(true);
    await server.until(() => server.closes === 1);
  });

  it("gives its place back when the client leaves", async () => {
    opened = await open({ kind: "tls", tls: certificates.server }, { maxConnections: 1 });
    for (let round = 0; round < 3; round += 1) {
      const client = await dialTls(opened.port);
      const server = await opened.stream(round);
      client.destroy();
      await server.until(() => server.ends === 1);
      server.stream.end();
      await server.until(() => server.closes === 1);
    }
    expect(opened.reasons).toEqual([]);
  });
});

describe("ALPN", () => {
  it("chooses mqtt where it is offered", async () => {
    const listener = await openTls();
    const client = await dialTls(listener.port, { ALPNProtocols: ["x", "mqtt"] });
    const server = await listener.stream();
    expect(client.alpnProtocol).toBe("mqtt");
    expect(server.stream.info.alpn).toBe("mqtt");
    client.destroy();
  });

  it("needs no ALPN", async () => {
    const listener = await openTls();
    const client = await dialTls(listener.port);
    const server = await listener.stream();
    expect(server.stream.info.alpn).toBeUndefined();
    client.destroy();
  });
});

describe("session tickets", () => {
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    it(`are given and taken, also after a reload (${version})`, async () => {
      const listener = await openTls();
      const session = await ticketOf(listener.port, { maxVersion: version });
      const first = await dialTls(listener.port, { session, maxVersion: version });
      expect(first.isSessionReused()).toBe(true);
      listener.listener.reloadTls(certificates.renewed);
      const second = await dialTls(listener.port, { session, maxVersion: version });
      expect(second.isSessionReused()).toBe(true);
      first.destroy();
      second.destroy();
    });
  }
});

describe("a reload", () => {
  it("gives new clients the new certificate and leaves connected ones alone", async () => {
    const listener = await openTls();
    const before = await dialTls(listener.port);
    const server = await listener.stream();
    listener.listener.reloadTls(certificates.renewed);
    const after = await dialTls(listener.port);
    expect(before.getPeerCertificate().subject.CN).toBe("first.example");
    expect(after.getPeerCertificate().subject.CN).toBe("second.example");
    before.write("still here");
    await server.until(() => server.bytes === 10);
    server.stream.write(Buffer.from("so am I"));
    expect((await readBytes(before, 7)).toString()).toBe("so am I");
    before.destroy();
    after.destroy();
  });

  it("of something unusable changes nothing and says so", async () => {
    const listener = await openTls();
    const { key } = certificates.renewed;
    expect(() => listener.listener.reloadTls({ key, cert: certificates.server.cert })).toThrow(
      expect.objectContaining({ code: "TLS_UNUSABLE" }),
    );
    const client = await dialTls(listener.port);
    expect(client.getPeerCertificate().subject.CN).toBe("first.example");
    client.destroy();
  });

  it("does nothing on a listener without TLS", async () => {
    opened = await open({ kind: "tcp" });
    opened.listener.reloadTls({ key: "", cert: "" });
    (await dial(opened.port)).destroy();
  });
});

describe("client certificates", () => {
  const asking = (clientCertificate: "request" | "require"): Partial<TlsOptions> => ({
    clientCertificate,
    ca: certificates.ca,
  });

  for (const mode of ["request", "require"] as const) {
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      it(`${mode}: shows the one that was presented (${version})`, async () => {
        const listener = await openTls(asking(mode));
        const client = await dialTls(listener.port, { ...certificates.client, maxVersion: version });
        const server = await listener.stream();
        expect(server.stream.info.certificate?.commonName).toBe("device-1");
        expect(server.stream.info.certificate?.subject).toBe("CN=device-1,O=Devices");
        expect(server.stream.info.certificate?.fingerprint256).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
        client.destroy();
      });
    }
  }

  it("request: takes clients without one, and shows none of an unknown authority", async () => {
    const listener = await openTls(asking("request"));
    const without = await dialTls(listener.port);
    expect((await listener.stream(0)).stream.info.certificate).toBeUndefined();
    const stranger = await dialTls(listener.port, certificates.stranger);
    expect((await listener.stream(1)).stream.info.certificate).toBeUndefined();
    without.destroy();
    stranger.destroy();
  });

  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    it(`require: refuses clients without one or with a stranger's (${version})`, async () => {
      const listener = await openTls(asking("require"));
      for (const identity of [{}, certificates.stranger]) {
        const client = connect({
          port: listener.port,
          host: "127.0.0.1",
          rejectUnauthorized: false,
          maxVersion: version,
          ...identity,
        });
        client.on("error", () => {});
        await closed(client);
      }
      await listener.until(() => listener.reasons.length === 2);
      expect(listener.reasons).toEqual(["tls", "tls"]);
      expect(listener.recorders.length).toBe(0);
    });
  }

  it("none: asks for none and shows none", async () => {
    const listener = await openTls();
    const client = await dialTls(listener.port, certificates.client);
    expect((await listener.stream()).stream.info.certificate).toBeUndefined();
    client.destroy();
  });

  it("need an authority to judge them by", async () => {
    await expect(openTls({ clientCertificate: "require" })).rejects.toMatchObject({
      code: "TLS_CA_MISSING",
      path: "tls.ca",
    });
  });

  it("leave no session to resume where they are asked for [AUTH-11]", async () => {
    const listener = await openTls(asking("request"));
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      // Whatever the handshake leaves on the client's side is offered again, by one that now has no certificate.
      const count = listener.recorders.length;
      const first = await dialTls(listener.port, { maxVersion: version, ...certificates.client });
      let session: Buffer | undefined = first.getSession();
      first.on("session", (given: Buffer) => {
        session = given;
      });
      const server = await listener.stream(count);
      expect(server.stream.info.certificate?.commonName).toBe("device-1");
      server.stream.write(Buffer.from("y"));
      await readBytes(first, 1);
      first.destroy();
      const second = await dialTls(listener.port, { session, maxVersion: version });
      const again = await listener.stream(count + 1);
      expect(second.isSessionReused()).toBe(false);
      expect(again.stream.info.certificate).toBeUndefined();
      second.destroy();
    }
  });

  for (const had of [false, true]) {
    it(`are never read from a resumed session, though it is "authorized" (first client ${had ? "had one" : "had none"}) [AUTH-11]`, async () => {
      const options = {
        ...certificates.server,
        ca: certificates.ca,
        requestCert: true,
        rejectUnauthorized: false,
      };
      const seen: { reused: boolean; authorized: boolean; name: string | undefined }[] = [];
      const server = createServer(options, (socket) => {
        const name = presentedCertificate(socket)?.commonName;
        seen.push({ reused: socket.isSessionReused(), authorized: socket.authorized, name });
        socket.on("error", () => {});
        socket.end("x");
      }).listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      const session = await ticketOf(port, had ? certificates.client : {});
      const resumed = await dialTls(port, { session });
      await closed(resumed);
      server.close();
      expect(seen).toEqual([
        { reused: false, authorized: had, name: had ? "device-1" : undefined },
        { reused: true, authorized: true, name: undefined },
      ]);
    });
  }
});

describe("handshakes in progress", () => {
  /** The bytes of a ClientHello. */
  async function clientHello(): Promise<Buffer> {
    const server = (await import("node:net")).createServer().listen(0, "127.0.0.1");
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
