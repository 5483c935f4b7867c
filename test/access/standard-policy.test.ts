import { beforeAll, describe, expect, it } from "vitest";
import { AccessList } from "../../src/access/access-list.ts";
import { deriveHash } from "../../src/access/password-checker.ts";
import { PasswordFile } from "../../src/access/password-file.ts";
import type { ConnectAcceptance } from "../../src/access/policy.ts";
import { createStandardPolicy, type StandardPolicyOptions } from "../../src/access/standard-policy.ts";
import { ConfigError } from "../../src/errors.ts";
import { resolveLimits } from "../../src/limits.ts";
import { connectRequest, identity, LOOPBACK, outcome, PUBLIC } from "./requests.ts";

const limits = resolveLimits();
let passwords: PasswordFile;
let otherPasswords: PasswordFile;

async function fileWith(user: string, password: string): Promise<PasswordFile> {
  const salt = Buffer.from("0123456789abcdef");
  const hash = await deriveHash(Buffer.from(password), salt, { N: 16, r: 1, p: 1 });
  const line = `${user}:$scrypt$N=16,r=1,p=1$${salt.toString("base64")}$${hash.toString("base64")}`;
  return PasswordFile.parse(line, "passwd", { running: 1, waiting: 0 });
}

beforeAll(async () => {
  passwords = await fileWith("alice", "wonder");
  otherPasswords = await fileWith("alice", "other");
});

const policyWith = (options: Partial<StandardPolicyOptions> = {}) =>
  createStandardPolicy({ limits, ...options });

async function connect(
  options: Partial<StandardPolicyOptions>,
  request: Parameters<typeof connectRequest>[0],
  as?: string,
) {
  return policyWith(options).connect(connectRequest(request), as);
}
async function accepted(...args: Parameters<typeof connect>): Promise<ConnectAcceptance> {
  const decision = await connect(...args);
  if (!decision.ok) throw new Error(outcome(decision));
  return decision;
}

describe("standard policy: Client Identifier", () => {
  it("is the session key", async () => {
    const { identity, assignedClientId } = await accepted({}, { clientId: "c7" });
    expect(identity).toEqual({ clientId: "c7", username: undefined, sessionKey: "c7" });
    expect(assignedClientId).toBeUndefined();
  });
  it("[MQTT-3.1.3-7] [MQTT-3.1.3-8] empty: 3.1 never, 3.1.1 with Clean Session, 5.0 always", async () => {
    expect(outcome(await connect({}, { clientId: "", level: 3 }))).toBe("2/0x85");
    expect(outcome(await connect({}, { clientId: "", level: 4, cleanStart: false }))).toBe("2/0x85");
    expect(outcome(await connect({}, { clientId: "", level: 4, cleanStart: true }))).toBe("accepted");
    expect(outcome(await connect({}, { clientId: "", level: 5, cleanStart: false }))).toBe("accepted");
  });
  it("assigned ones are long, of plain characters, and never the same", async () => {
    const ids = new Set<string>();
    for (let i = 0; i < 100; i++) {
      const { assignedClientId, identity } = await accepted({}, { clientId: "", level: 5 });
      expect(assignedClientId).toMatch(/^auto-[A-Za-z0-9_-]{22}$/);
      expect(identity.clientId).toBe(assignedClientId);
      expect(identity.sessionKey).toBe(assignedClientId);
      ids.add(identity.clientId);
    }
    expect(ids.size).toBe(100);
  });
  it("long ones are taken in 3.1 too", async () => {
    expect(outcome(await connect({}, { clientId: "x".repeat(200), level: 3 }))).toBe("accepted");
  });
});

describe("standard policy: who may connect", () => {
  it("anonymous clients on loopback, elsewhere only if configured", async () => {
    expect(outcome(await connect({}, { stream: LOOPBACK }))).toBe("accepted");
    expect(outcome(await connect({}, { stream: PUBLIC }))).toBe("5/0x87");
    expect(outcome(await connect({ anonymous: true }, { stream: PUBLIC }))).toBe("accepted");
    expect(outcome(await connect({ anonymous: false }, { stream: LOOPBACK }))).toBe("5/0x87");
    expect(outcome(await connect({ anonymous: (s) => s.localPort === 1 }, { stream: LOOPBACK }))).toBe(
      "5/0x87",
    );
  });
  it("where the peer's own address is loopback, but the listener's is not, that changes nothing", async () => {
    expect(outcome(await connect({}, { stream: { ...PUBLIC, remoteAddress: "127.0.0.1" } }))).toBe("5/0x87");
  });
  it("by password; a wrong one is refused on loopback too", async () => {
    const right = await accepted({ passwords }, { username: "alice", password: "wonder", stream: PUBLIC });
    expect(right.identity.username).toBe("alice");
    for (const request of [
      { username: "alice", password: "x" },
      { username: "alice" },
      { username: "bob", password: "wonder" },
      { username: "", password: "" },
    ]) {
      expect(outcome(await connect({ passwords }, request))).toBe("4/0x86");
    }
  });
  it("answers synchronously once a password was right", async () => {
    const policy = policyWith({ passwords });
    const request = connectRequest({ username: "alice", password: "wonder" });
    await policy.connect(request);
    expect(policy.connect(request)).not.toBeInstanceOf(Promise);
  });
  it("says server busy when too many checks wait", async () => {
    const policy = policyWith({ passwords });
    const slow = policy.connect(connectRequest({ username: "alice", password: "guess 1" }));
    expect(outcome(await policy.connect(connectRequest({ username: "alice", password: "guess 2" })))).toBe(
      "3/0x89",
    );
    expect(outcome(await slow)).toBe("4/0x86");
  });
  it("a user name nobody can check proves nothing", async () => {
    const { identity } = await accepted({}, { username: "alice", password: "x" });
    expect(identity.username).toBeUndefined();
    expect(outcome(await connect({}, { username: "alice", stream: PUBLIC }))).toBe("4/0x86");
  });
  it("by client certificate where no user name is sent", async () => {
    const certificate = { commonName: "sensor-1", subject: "CN=sensor-1", fingerprint256: "00" };
    const stream = { ...PUBLIC, certificate };
    expect((await accepted({}, { stream })).identity.username).toBe("sensor-1");
    expect(outcome(await connect({ passwords }, { stream, username: "alice", password: "x" }))).toBe(
      "4/0x86",
    );
    expect(outcome(await connect({ certificateUserName: false }, { stream }))).toBe("5/0x87");
    const nameless = { ...stream, certificate: { ...certificate, commonName: "" } };
    expect(outcome(await connect({}, { stream: nameless }))).toBe("5/0x87");
  });
  it("by an AUTH exchange, whatever user name was sent", async () => {
    const request = { username: "mallory", stream: PUBLIC, level: 5 } as const;
    expect((await accepted({ passwords }, request, "alice")).identity.username).toBe("alice");
    const exchange = { step: () => ({ state: "success" }) as const };
    const policy = policyWith({ authMethods: { M: () => exchange } });
    expect(policy.authenticate?.("M", connectRequest())).toBe(exchange);
    expect(policy.authenticate?.("toString", connectRequest())).toBeUndefined();
  });
});

describe("standard policy: what may be published and subscribed", () => {
  const acl = AccessList.parse(
    "topic read a/#\nuser alice\ntopic write b\npattern read response/%c/#",
    "acl",
  );
  const subscribe = (filter: string, qos: 0 | 1 | 2 = 2) =>
    ({ filter, shareName: undefined, qos, level: 5 }) as const;

  it("everything without an access list, save publishing to $SYS", async () => {
    const policy = policyWith();
    const decision = await accepted({}, {});
    expect(decision.allowAllPublish).toBe(true);
    expect(policy.authorizePublish(identity("c"), "x/y", 0, false)).toEqual({ allow: true });
    expect(policy.authorizePublish(identity("c"), "$SYS/x", 0, false)).toEqual({
      allow: false,
      reason: 0x87,
    });
    expect(policy.authorizeSubscribe(identity("c"), subscribe("$SYS/#"))).toBe(2);
    expect(policy.authorizeDelivery(identity("c"), "x")).toBe(true);
  });
  it("what the list grants", async () => {
    expect((await accepted({ acl }, {})).allowAllPublish).toBe(false);
    const policy = policyWith({ acl });
    expect(policy.authorizeSubscribe(identity("c"), subscribe("a/#", 1))).toBe(1);
    expect(policy.authorizeSubscribe(identity("c"), subscribe("$SYS/#"))).toBe(0x87);
    expect(policy.authorizePublish(identity("c"), "b", 0, false)).toEqual({ allow: false, reason: 0x87 });
    expect(policy.authorizePublish(identity("c", "alice"), "b", 0, false)).toEqual({ allow: true });
    expect(policy.authorizeDelivery(identity("c"), "b")).toBe(false);
  });
  it("grants no more than the maximum QoS", () => {
    const policy = policyWith({ capabilities: { maximumQos: 1 } });
    expect(policy.authorizeSubscribe(identity("c"), subscribe("a", 2))).toBe(1);
  });
  it("offers Response Information where its owner may subscribe it and it is his alone", () => {
    expect(policyWith().responseInformation?.(identity("c1"))).toBe("response/c1/");
    expect(policyWith({ acl }).responseInformation?.(identity("c1"))).toBe("response/c1/");
    expect(policyWith().responseInformation?.(identity("c1/x"))).toBeUndefined();
    const without = AccessList.parse("topic read a", "acl");
    expect(policyWith({ acl: without }).responseInformation?.(identity("c1"))).toBeUndefined();
  });
  it("takes new files at once and counts the generation up", async () => {
    const policy = policyWith({ passwords, acl });
    const before = policy.generation;
    policy.replace({ acl: AccessList.parse("topic write c", "acl"), passwords: otherPasswords });
    expect(policy.generation).toBeGreaterThan(before);
    expect(policy.authorizePublish(identity("c"), "c", 0, false)).toEqual({ allow: true });
    expect(policy.authorizeSubscribe(identity("c"), subscribe("a/#"))).toBe(0x87);
    const request = connectRequest({ username: "alice", password: "wonder" });
    expect(outcome(await policy.connect(request))).toBe("4/0x86");
    expect(() => policyWith().replace({ acl })).toThrow(ConfigError);
    expect(() => policyWith().replace({ passwords })).toThrow(ConfigError);
  });
});

describe("standard policy: capabilities", () => {
  it("is all of MQTT, with the limits' figures", () => {
    expect(
      policyWith({ limits: resolveLimits({ receiveMaximum: 7, topicAliasMaximum: 3 }) }).capabilities,
    ).toMatchObject({
      maximumQos: 2,
      retain3: true,
      sharedSubscriptions3: true,
      subscriptionIdentifiers: true,
      publisherQos3: false,
      receiveMaximum: 7,
      topicAliasMaximum: 3,
      mqtt5: true,
    });
    expect(policyWith({ capabilities: { mqtt5: false } }).capabilities.mqtt5).toBe(false);
  });
});
