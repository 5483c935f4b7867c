// The gate again: sessions that change hands, grants that are taken away, policies that do not answer as they should.
import { describe, expect, test } from "vitest";
import type { AuthExchange } from "../../src/access/policy.ts";
import type { Broker } from "../../src/broker.ts";
import { MemoryStore } from "../../src/store/memory-store.ts";
import type { StoreBatch } from "../../src/store/contract/store.ts";
import { openPolicy } from "../support/policy.ts";
import { eventually, unique, useServer } from "../support/server.ts";

const kept = (clientId: string, username: string) => ({
  clientId,
  username,
  clean: false,
  properties: { sessionExpiryInterval: 1_000 },
});

describe("a session that another user resumes", () => {
  const removed: string[] = [];
  class Recording extends MemoryStore {
    override begin(): StoreBatch {
      const batch = super.begin();
      const { subscription } = batch;
      batch.subscription = (session, filter, options) => {
        if (options === undefined) removed.push(filter);
        subscription.call(batch, session, filter, options);
      };
      return batch;
    }
  }
  const answers: ((code: number) => void)[] = [];
  const server = useServer({
    sysInterval: 0,
    store: new Recording(),
    profile: openPolicy({
      override: {
        authorizeDelivery: (identity) => identity.username === "alice",
        authorizeSubscribe: (identity, { filter }) => {
          if (identity.username === "alice") return 2;
          if (filter.startsWith("asked/") && identity.username === "bob")
            return new Promise((resolve) => answers.push(resolve));
          return 0x87;
        },
      },
    }),
  });

  test("what was in flight is not repeated to him where he may not have it", async () => {
    const clientId = unique();
    const alice = await server.connect(5, kept(clientId, "alice"));
    await alice.subscribe([{ filter: "private", qos: 1 }]);
    await server.broker.publish({ topic: "private", payload: "secret", qos: 1 });
    await alice.next("publish");
    alice.destroy();
    const mallory = await server.connect(5, kept(clientId, "mallory"));
    expect(mallory.connack.sessionPresent).toBe(true);
    await mallory.expectNothing();
  });

  test("a subscription taken away from him is struck off the store too", async () => {
    const clientId = unique();
    const alice = await server.connect(5, kept(clientId, "alice"));
    const filter = unique("struck/");
    await alice.subscribe(filter);
    alice.destroy();
    await server.connect(5, kept(clientId, "mallory"));
    expect(removed).toContain(filter);
  });

  test("an answer about him does not count for who came after him", async () => {
    const clientId = unique();
    const alice = await server.connect(5, kept(clientId, "alice"));
    await alice.subscribe("asked/for");
    alice.destroy();
    await server.connect(5, kept(clientId, "bob"));
    const mallory = await server.connect(5, kept(clientId, "mallory"));
    for (const answer of answers.splice(0)) answer(2);
    await mallory.fence();
    await server.broker.publish({ topic: "asked/for", payload: "x" });
    await mallory.expectNothing();
  });
});

describe("grants", () => {
  let generation = 1;
  let open = true;
  const server = useServer({
    sysInterval: 0,
    profile: {
      ...openPolicy({
        accept: { allowAllPublish: true },
        override: { authorizePublish: () => ({ allow: open }) },
      }),
      get generation() {
        return generation;
      },
    },
  });

  test("a new generation ends a leave to publish everything", async () => {
    const client = await server.connect(5);
    expect(await client.publish("t", "", { qos: 1 })).toMatchObject({ reason: 0x10 });
    open = false;
    generation++;
    await eventually(
      async () => (await client.publish("t", "", { qos: 1 }))?.reason === 0x87,
      "publishing is refused",
    );
  });
});

describe("a policy that does not answer as it should", () => {
  const odd: unknown[] = [undefined, Number.NaN];
  const server = useServer({
    sysInterval: 0,
    profile: openPolicy({
      override: {
        authorizeSubscribe: (_identity, { filter }) => odd[Number(filter)] as number,
        authenticate: (method) => {
          throw new Error(`no idea of ${method}`);
        },
      },
    }),
  });
  const traps = (broker: Broker) => broker.metrics()["core.traps"] ?? broker.metrics()["traps"];

  test("a subscription is granted by 0, 1 or 2 and by nothing else", async () => {
    const client = await server.connect(5);
    const { reasons } = await client.subscribe(["0", "1"]);
    expect(reasons).toEqual([0x87, 0x87]);
  });

  test("authenticate() that throws refuses its client and nobody else", async () => {
    const before = traps(server.broker);
    const client = await server.open(5);
    client.send(client.wire.connect({ clientId: unique(), properties: { authenticationMethod: "X" } }));
    await client.expectRefusal(undefined, 0x8c);
    expect(traps(server.broker)).toBe(before);
  });
});

describe("an exchange of AUTH packets that is over", () => {
  const exchange = (): AuthExchange => ({ step: () => ({ state: "success", username: "proved" }) });
  const server = useServer({
    sysInterval: 0,
    profile: openPolicy({ override: { authenticate: exchange } }),
  });

  test("has no further step [MQTT-4.12.0-6]", async () => {
    const client = await server.open(5);
    await client.connect({ clientId: unique(), properties: { authenticationMethod: "ONE" } });
    client.send(client.wire.auth(0x18, { authenticationMethod: "ONE" }));
    await client.expectEnd(0x82);
  });

  test("may be begun anew", async () => {
    const client = await server.open(5);
    await client.connect({ clientId: unique(), properties: { authenticationMethod: "ONE" } });
    for (let i = 0; i < 2; i++) {
      client.send(client.wire.auth(0x19, { authenticationMethod: "ONE" }));
      expect(await client.next("auth")).toMatchObject({ reason: 0 });
    }
  });
});
