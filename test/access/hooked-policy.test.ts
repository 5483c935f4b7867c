import { describe, expect, it } from "vitest";
import { type AccessHooks, HookedPolicy } from "../../src/access/hooked-policy.ts";
import { createStandardPolicy } from "../../src/access/standard-policy.ts";
import { resolveLimits } from "../../src/limits.ts";
import { connectRequest, identity, outcome, PUBLIC } from "./requests.ts";

function setUp(...hooks: AccessHooks[]) {
  const logged: { hook: string; error: unknown }[] = [];
  const failed = (hook: string, error: unknown): void => void logged.push({ hook, error });
  const inner = createStandardPolicy({ limits: resolveLimits() });
  return { policy: new HookedPolicy(inner, failed, hooks), logged, inner };
}

const client = identity("c1");
const subscription = { filter: "a/#", shareName: undefined, qos: 1, level: 5 } as const;

describe("hooked policy", () => {
  it("without hooks is the policy it wraps", () => {
    const { policy, inner } = setUp();
    expect(policy.capabilities).toBe(inner.capabilities);
    expect(policy.connect(connectRequest())).toEqual(inner.connect(connectRequest()));
    expect(policy.authorizePublish(client, "a", 0, false)).toEqual({ allow: true });
    expect(policy.authorizeSubscribe(client, subscription)).toBe(1);
    expect(policy.responseInformation(client)).toBe("response/c1/");
    expect([policy.name, policy.namespace]).toEqual(["standard", "standard"]);
  });

  it("asks hooks in order and stops at the first refusal", () => {
    const asked: string[] = [];
    const hook = (name: string, answer: boolean | undefined): AccessHooks => ({
      authorizePublish: ({ topic }) => {
        asked.push(`${name} ${topic}`);
        return answer;
      },
    });
    const { policy } = setUp(
      hook("one", undefined),
      hook("two", true),
      hook("three", false),
      hook("four", true),
    );
    expect(policy.authorizePublish(client, "t", 1, false)).toMatchObject({ allow: false, reason: 0x87 });
    expect(asked).toEqual(["one t", "two t", "three t"]);
  });

  it("goes on behind an asynchronous hook, in order", async () => {
    const asked: number[] = [];
    const slow: AccessHooks = {
      authorizeSubscribe: async () => {
        await Promise.resolve();
        asked.push(1);
        return undefined;
      },
    };
    const fast: AccessHooks = {
      authorizeSubscribe: () => {
        asked.push(2);
        return { reason: 0x97 };
      },
    };
    const { policy } = setUp(slow, fast);
    const verdict = policy.authorizeSubscribe(client, subscription);
    expect(verdict).toBeInstanceOf(Promise);
    expect(await verdict).toBe(0x97);
    expect(asked).toEqual([1, 2]);
  });

  it("takes a hook that throws or rejects as a refusal, and logs it", async () => {
    const error = new Error("boom");
    const thrower: AccessHooks = {
      authenticate: () => {
        throw error;
      },
      authorizePublish: () => Promise.reject(error),
      authorizeSubscribe: async () => {
        throw error;
      },
    };
    const { policy, logged } = setUp(thrower);
    expect(outcome(await policy.connect(connectRequest()))).toBe("5/0x87");
    expect(await policy.authorizePublish(client, "a", 0, false)).toMatchObject({
      allow: false,
      reason: 0x87,
    });
    expect(await policy.authorizeSubscribe(client, subscription)).toBe(0x87);
    expect(logged).toEqual([
      { hook: "authenticate", error },
      { hook: "authorizePublish", error },
      { hook: "authorizeSubscribe", error },
    ]);
  });

  it("takes a reason that is no refusal as a mistake of the hook, synchronous or not", async () => {
    const { policy, logged } = setUp({ authorizeSubscribe: () => ({ reason: 1 }) });
    expect(policy.authorizeSubscribe(client, subscription)).toBe(0x87);
    const later = setUp({ authorizeSubscribe: async () => ({ reason: 1 }) });
    expect(await later.policy.authorizeSubscribe(client, subscription)).toBe(0x87);
    expect([logged.length, later.logged.length]).toEqual([1, 1]);
  });

  it("cannot grant what the policy refused", () => {
    const { policy } = setUp({ authorizePublish: () => true });
    expect(policy.authorizePublish(client, "$SYS/x", 0, false)).toEqual({ allow: false, reason: 0x87 });
  });

  it("asks about every publish unless the hook says that its answer holds", () => {
    const { policy } = setUp({
      authorizePublish: ({ topic }) => (topic === "s" ? { allow: true, cacheable: true } : true),
    });
    expect(policy.authorizePublish(client, "s", 0, false)).toEqual({ allow: true, cacheable: true });
    expect(policy.authorizePublish(client, "d", 0, false)).toEqual({ allow: true, cacheable: false });
    const deny = setUp({ authorizePublish: () => ({ allow: false, cacheable: true }) });
    expect(deny.policy.authorizePublish(client, "s", 0, false)).toEqual({
      allow: false,
      reason: 0x87,
      cacheable: true,
    });
  });

  it("takes the allow-all right away where a hook wants to be asked", async () => {
    expect(await setUp().policy.connect(connectRequest())).toMatchObject({ allowAllPublish: true });
    const { policy } = setUp({ authorizePublish: () => true });
    expect(await policy.connect(connectRequest())).toMatchObject({ allowAllPublish: false });
  });

  it("counts the generation up when hooks come and go", () => {
    const { policy } = setUp();
    const first = policy.generation;
    const remove = policy.use({ authorizePublish: () => false });
    expect(policy.generation).toBe(first + 1);
    expect(policy.authorizePublish(client, "a", 0, false)).toMatchObject({ allow: false });
    remove();
    remove();
    expect(policy.generation).toBe(first + 2);
    expect(policy.authorizePublish(client, "a", 0, false)).toEqual({ allow: true });
  });

  it("lets authenticate vouch for a user name, and later hooks see it and may still refuse", async () => {
    const seen: (string | undefined)[] = [];
    const { policy } = setUp(
      {
        authenticate: async ({ request }) =>
          request.username === "token" ? { username: "alice" } : undefined,
      },
      {
        authenticate: ({ authenticatedAs, request }) => {
          seen.push(authenticatedAs);
          return request.clientId !== "bad";
        },
      },
    );
    const request = connectRequest({ username: "token", stream: PUBLIC });
    expect(await policy.connect(request)).toMatchObject({ ok: true, identity: { username: "alice" } });
    expect(outcome(await policy.connect({ ...request, clientId: "bad" }))).toBe("5/0x87");
    expect(outcome(await policy.connect(connectRequest({ stream: PUBLIC })))).toBe("5/0x87");
    expect(seen).toEqual(["alice", "alice", undefined]);
  });

  it("does not replace what an AUTH exchange proved", async () => {
    const { policy } = setUp({ authenticate: () => ({ username: "other" }) });
    expect(await policy.connect(connectRequest(), "proved")).toMatchObject({
      identity: { username: "proved" },
    });
  });

  it.each([
    [0x85, 2],
    [0x86, 4],
    [0x88, 3],
    [0x87, 5],
    [0x8a, 5],
  ])("maps a refused CONNECT's reason 0x%s to what 3.x has", async (reason, code3) => {
    const { policy } = setUp({ authenticate: () => ({ reason, reasonString: "no" }) });
    expect(await policy.connect(connectRequest())).toEqual({ ok: false, code3, reason, reasonString: "no" });
  });
});
