import { describe, expect, it } from "vitest";
import { CONNECT, dial, open, readBytes } from "../helpers.ts";
import { certificates, dialTls, ticketOf, useTls } from "./tls-clients.ts";

const openTls = useTls();

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
    const opened = await open({ kind: "tls", tls: certificates.server }, { maxConnections: 1 });
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
      listener.listener.prepareTls(certificates.renewed)();
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
    listener.listener.prepareTls(certificates.renewed)();
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
    expect(() => listener.listener.prepareTls({ key, cert: certificates.server.cert })).toThrow(
      expect.objectContaining({ code: "TLS_UNUSABLE" }),
    );
    const client = await dialTls(listener.port);
    expect(client.getPeerCertificate().subject.CN).toBe("first.example");
    client.destroy();
  });

  it("does nothing on a listener without TLS", async () => {
    const opened = await open({ kind: "tcp" });
    opened.listener.prepareTls({ key: "", cert: "" })();
    (await dial(opened.port)).destroy();
  });
});
