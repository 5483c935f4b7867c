// What a policy or a hook answers: how long it is remembered, and what happens where it goes wrong.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { AccessHooks, PublishResult } from "../../src/access/hooked-policy.ts";
import { openPolicy } from "../support/policy.ts";
import type { RawClient } from "../support/raw-client.ts";
import { TestServer, type ServerOptions, unique } from "../support/server.ts";

let server: TestServer;
async function start(options: ServerOptions = {}): Promise<void> {
  server = new TestServer({ sysInterval: 0, ...options });
  await server.start();
}
beforeEach(() => start());
afterEach(() => server.stop());

describe("answers that are remembered", () => {
  const counted = (answer: (topic: string) => PublishResult) => {
    const asked: string[] = [];
    const hooks: AccessHooks = {
      authorizePublish: ({ topic }) => {
        asked.push(topic);
        return answer(topic);
      },
    };
    return { asked, hooks };
  };
  const reasonOf = async (client: RawClient, topic: string): Promise<number | undefined> =>
    (await client.publish(topic, "x", { qos: 1 }))?.reason;

  test("a cacheable one is asked for once per client and topic, another one each time", async () => {
    const { asked, hooks } = counted((topic) =>
      topic.startsWith("cached") ? { allow: topic !== "cached/no", cacheable: true } : undefined,
    );
    server.broker.use(hooks);
    const [a, b] = [await server.connect(5), await server.connect(5)];
    await a.subscribe("#");
    for (let i = 0; i < 3; i++) {
      for (const client of [a, b]) {
        expect(await reasonOf(client, "cached/yes")).toBe(0);
        expect(await reasonOf(client, "cached/no")).toBe(0x87);
        expect(await reasonOf(client, "other")).toBe(0);
      }
    }
    const count = (topic: string) => asked.filter((one) => one === topic).length;
    expect([count("cached/yes"), count("cached/no"), count("other")]).toEqual([2, 2, 6]);
  });

  test("hooks that are added and taken away change the next answer, for clients that are online too", async () => {
    const client = await server.connect(5);
    await client.subscribe("t");
    expect(await reasonOf(client, "t")).toBe(0); // nobody was asked: everything is allowed
    const allow = server.broker.use({ authorizePublish: () => ({ allow: true, cacheable: true }) });
    expect(await reasonOf(client, "t")).toBe(0);
    const deny = server.broker.use({ authorizePublish: () => ({ allow: false, cacheable: true }) });
    expect(await reasonOf(client, "t")).toBe(0x87);
    allow();
    expect(await reasonOf(client, "t")).toBe(0x87);
    deny();
    expect(await reasonOf(client, "t")).toBe(0);
    const late = server.broker.use({ authorizePublish: () => false });
    const other = await server.connect(5);
    expect(await reasonOf(other, "t")).toBe(0x87);
    late();
    expect(await reasonOf(other, "t")).toBe(0);
  });

  test("they end with the connection: another user of the same session is asked about anew", async () => {
    await server.stop();
    const asked: string[] = [];
    await start({
      profile: openPolicy({
        override: {
          authorizePublish: (identity) => {
            asked.push(identity.username ?? "");
            return { allow: identity.username === "alice" };
          },
        },
      }),
    });
    const options = { clientId: "shared", clean: false, properties: { sessionExpiryInterval: 100 } };
    const alice = await server.connect(5, { ...options, username: "alice" });
    expect((await alice.publish("t", "x", { qos: 1 }))?.reason).toBeLessThan(0x80);
    expect((await alice.publish("t", "x", { qos: 1 }))?.reason).toBeLessThan(0x80);
    await alice.disconnect();
    const bob = await server.connect(5, { ...options, username: "bob" });
    expect(await reasonOf(bob, "t")).toBe(0x87);
    expect(asked).toEqual(["alice", "bob"]);
  });

  test.each([0, 5, undefined])(
    "a policy that refuses with the reason %s is taken as not authorized",
    async (reason) => {
      await server.stop();
      await start({
        profile: openPolicy({ override: { authorizePublish: () => ({ allow: false, reason }) } }),
      });
      const client = await server.connect(5);
      expect(await reasonOf(client, "t")).toBe(0x87);
    },
  );

  test.each(["authorizePublish", "authorizeSubscribe", "connect", "connected", "disconnected"] as const)(
    "a policy whose %s throws ends nobody but the one it is about",
    async (name) => {
      await server.stop();
      let broken = false;
      const inner = openPolicy();
      await start({
        profile: openPolicy({
          override: {
            [name]: (...args: unknown[]) => {
              if (broken) throw new Error("the policy's own bug");
              const method = inner[name] as ((...args: unknown[]) => unknown) | undefined;
              return method?.apply(inner, args);
            },
          },
        }),
      });
      const other = await server.connect(5);
      await other.subscribe("t");
      const victim = await server.connect(5);
      broken = true;
      victim.send(victim.wire.publish("t", "x", { qos: 1, id: 1 }), victim.wire.subscribe(2, "u"));
      await victim.of("puback", 1);
      await victim.of("suback", 2);
      victim.destroy();
      const third = await server.open(5);
      third.send(third.wire.connect({ clientId: unique() }));
      const answer = await third.next("connack");
      expect(answer.reason === 0).toBe(name !== "connect");
      broken = false;
      await server.broker.publish({ topic: "t", payload: "last" });
      const texts = (await other.fence()).map((packet) => (packet.type === "publish" ? packet.text : ""));
      expect(texts.at(-1)).toBe("last");
      expect(server.broker.metrics()["errors.trap"]).toBe(0);
      expect(server.broker.metrics()["errors.hook"]).toBeGreaterThan(0);
    },
  );
});
