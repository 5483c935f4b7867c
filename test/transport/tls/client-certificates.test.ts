// Certificates of clients: asked for or not, whose count, and that a resumed session never speaks for one.
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import { describe, expect, it } from "vitest";
import type { TlsOptions } from "../../../src/transport/streams/stream.ts";
import { presentedCertificate } from "../../../src/transport/tls/tls-handshake.ts";
import { closed, readBytes } from "../helpers.ts";
import { certificates, dialTls, ticketOf, useTls } from "./tls-clients.ts";

const openTls = useTls();

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

  it.each([
    ["no certificate", () => "nothing of use"],
    ["an empty one", () => ""],
    ["a cut one behind a good one", () => `${certificates.ca}${String(certificates.ca).slice(0, 300)}`],
  ])("a reload with a CA file that is %s changes nothing and says so", async (_what, broken) => {
    const listener = await openTls(asking("request"));
    const { key, cert } = certificates.server;
    expect(() => listener.listener.prepareTls({ key, cert, ca: broken() })).toThrow(
      expect.objectContaining({
        code: "TLS_UNUSABLE",
        message: expect.stringContaining("CA cannot be used"),
      }),
    );
    const client = await dialTls(listener.port, certificates.client);
    expect((await listener.stream()).stream.info.certificate?.commonName).toBe("device-1");
    client.destroy();
  });

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
