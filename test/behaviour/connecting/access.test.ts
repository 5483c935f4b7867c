// The standard profile's access control as a client meets it: password file, access list with %c and %u, client certificates
// as user names, and who may come without a name.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { setPassword } from "../../../src/access/password-file.ts";
import type { RawClient, Target } from "../../support/raw-client.ts";
import { ALL, BOTH, ours, PEER, TestServer, unique } from "../../support/server.ts";
import type { Version } from "../../support/wire.ts";
import { type TestCertificates, testCertificates } from "../../transport/tls/certificates.ts";

const ACCESS_LIST = `
topic read public/#
user alice
topic readwrite alice/#
user device-1
topic write from-the-certificate
pattern readwrite clients/%c/#
pattern write users/%u/inbox
pattern deny clients/%c/secret
`;
const GUARDED = 0;
const TLS = 1;
let directory: string;
let server: TestServer;
let certificates: TestCertificates;

beforeAll(async () => {
  if (PEER) return;
  directory = mkdtempSync(join(tmpdir(), "millrace-access-"));
  const passwordFile = join(directory, "users");
  const aclFile = join(directory, "acl");
  await setPassword(passwordFile, "alice", "wonderland");
  writeFileSync(aclFile, ACCESS_LIST);
  certificates = await testCertificates();
  const tls = { ...certificates.server, clientCertificate: "request", ca: certificates.ca } as const;
  server = new TestServer({
    passwordFile,
    aclFile,
    listeners: [
      { port: 0, anonymous: false },
      { kind: "tls", port: 0, anonymous: false, tls },
    ],
  });
  await server.start();
});
afterAll(async () => {
  if (PEER) return;
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

const alice = { username: "alice", password: "wonderland" };
const at = (index: number, target: Partial<Target> = {}): Partial<Target> => ({
  port: server.broker.listeners[index].port,
  ...target,
});
/** The one code of a SUBSCRIBE for one filter. */
const grant = async (client: RawClient, filter: string): Promise<number> =>
  (await client.subscribe({ filter, qos: 1 })).reasons[0];

describe.each(ALL)("password file, MQTT %s", (_name, version) => {
  ours("lets in who knows his password, twice as well as once", async () => {
    for (let turn = 0; turn < 2; turn++) {
      const client = await server.connect(version, alice, at(GUARDED));
      await client.disconnect();
    }
  });

  ours.each([
    ["a wrong password", { username: "alice", password: "wonder" }, 4, 0x86],
    ["no password", { username: "alice" }, 4, 0x86],
    ["an unknown user", { username: "bob", password: "wonderland" }, 4, 0x86],
    ["no user name, where anonymous clients are not let in", {}, 5, 0x87],
  ] as const)("refuses %s", async (_what, credentials, code3, reason) => {
    const client = await server.open(version, at(GUARDED));
    client.send(client.wire.connect({ clientId: unique(), ...credentials }));
    await client.expectRefusal(code3, reason);
  });
});

describe.each(BOTH)("access list, MQTT %s", (_name, version) => {
  const no = version === 5 ? 0x87 : 0x80;

  ours("grants a user's own topics, patterns with %c and %u, and what everybody may read", async () => {
    const clientId = unique("client");
    const client = await server.connect(version, { ...alice, clientId }, at(GUARDED));
    const filters: [string, number][] = [
      ["alice/#", 1],
      ["public/news", 1],
      [`clients/${clientId}/in`, 1],
      [`clients/${clientId}/secret`, no],
      [`clients/${clientId}/#`, no],
      ["clients/somebody-else/in", no],
      ["clients/+/in", no],
      ["users/alice/inbox", no],
      ["#", no],
    ];
    for (const [filter, code] of filters)
      expect([filter, await grant(client, filter)]).toEqual([filter, code]);
  });

  ours("a message that is not allowed reaches nobody, and the next one does", async () => {
    const seen: string[] = [];
    const stop = await server.broker.subscribe("#", ({ topic }) => void seen.push(topic));
    const client = await server.connect(version, alice, at(GUARDED));
    const refused = await client.publish("public/news", "forged", { qos: 1 });
    const allowed = await client.publish("users/alice/inbox", "ok", { qos: 1 });
    expect([refused?.reason, allowed?.reason]).toEqual(version === 5 ? [0x87, 0] : [0, 0]);
    expect(seen).toEqual(["users/alice/inbox"]);
    await stop();
  });
});

describe.each(BOTH)("client certificates, MQTT %s", (_name, version) => {
  const own = (identity: object): Partial<Target> => at(TLS, { transport: "tls", tls: identity });

  ours("the common name is the user name, for the access list too", async () => {
    const names: (string | undefined)[] = [];
    const stop = server.broker.on("client.connected", ({ username }) => void names.push(username));
    const client = await server.connect(version, {}, own(certificates.client));
    expect(names).toEqual(["device-1"]);
    const allowed = await client.publish("from-the-certificate", "x", { qos: 1 });
    const refused = await client.publish("alice/x", "x", { qos: 1 });
    if (version === 5) expect([allowed?.reason, refused?.reason]).toEqual([0x10, 0x87]);
    stop();
  });

  ours.each(["none", "a stranger's"])("%s proves nothing", async (what) => {
    const client = await server.open(version, own(what === "none" ? {} : certificates.stranger));
    client.send(client.wire.connect({ clientId: unique() }));
    await client.expectRefusal(5, 0x87);
  });
});

describe("clients without a name", () => {
  async function connects(
    version: Version,
    listener: { host?: string; anonymous?: boolean },
  ): Promise<boolean> {
    const one = new TestServer({ listeners: [{ port: 0, ...listener }] });
    await one.start();
    try {
      const client = await one.open(version);
      client.send(client.wire.connect({ clientId: unique() }));
      const { reason } = await client.next("connack");
      if (reason !== 0) expect(reason).toBe(version === 5 ? 0x87 : 5);
      return reason === 0;
    } finally {
      await one.stop();
    }
  }

  ours.each(BOTH)(
    "are let in on loopback, elsewhere only if that is configured, MQTT %s",
    async (_name, version) => {
      expect(await connects(version, {})).toBe(true);
      // The client is this machine's in all cases: what counts is where the listener is bound.
      expect(await connects(version, { host: "0.0.0.0" })).toBe(false);
      expect(await connects(version, { host: "0.0.0.0", anonymous: true })).toBe(true);
      expect(await connects(version, { anonymous: false })).toBe(false);
    },
  );
});
