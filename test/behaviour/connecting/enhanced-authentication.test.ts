// AUTH (5.0): refused without a method, exchanged through the policy, repeated on a living connection [MQTT-4.12].
import { describe, expect, test } from "vitest";
import { ours, unique, useServer } from "../../support/server.ts";
import { openPolicy } from "../../support/policy.ts";
import type { AuthExchange, AuthStep } from "../../../src/access/policy.ts";

const server = useServer();

describe("without a method", () => {
  test("AUTH is a Protocol Error [MQTT-4.12.0-6]", async () => {
    const client = await server.connect(5);
    client.send(client.wire.auth(0x19, { authenticationMethod: "SCRAM" }));
    await client.expectEnd(0x82);
  });

  test("AUTH before CONNECT ends the connection", async () => {
    const client = await server.open(5);
    client.send(client.wire.auth(0x18, { authenticationMethod: "SCRAM" }));
    await client.expectClosed();
  });

  test("a method the server does not know is refused with 0x8C [MQTT-4.12.0-1]", async () => {
    const client = await server.open(5);
    client.send(
      client.wire.connect({ clientId: unique(), properties: { authenticationMethod: "unheard-of" } }),
    );
    await client.expectRefusal(undefined, 0x8c);
  });
});

describe("with a method", () => {
  /** Asks twice: "hello" is answered with a question, "secret" lets in, anything else does not. */
  const exchange = (): AuthExchange => ({
    async step(data): Promise<AuthStep> {
      const text = Buffer.from(data ?? []).toString();
      if (text === "hello") return { state: "continue", data: Buffer.from("word?") };
      if (text === "other") return { state: "success", username: "somebody else" };
      if (text === "secret") return { state: "success", data: Buffer.from("welcome"), username: "proved" };
      return { state: "refused", reason: 0x87 };
    },
  });
  const guarded = useServer({
    profile: openPolicy({
      override: { authenticate: (method) => (method === "TWO-STEP" ? exchange() : undefined) },
    }),
  });
  const authenticationMethod = "TWO-STEP";

  async function signIn(topicToPublishEarly?: string) {
    const client = await guarded.open(5);
    client.send(
      client.wire.connect({
        clientId: unique(),
        properties: { authenticationMethod, authenticationData: "hello" },
      }),
    );
    const question = await client.next("auth");
    expect(question).toMatchObject({
      reason: 0x18,
      properties: { authenticationMethod, authenticationData: Buffer.from("word?") },
    });
    if (topicToPublishEarly) client.send(client.wire.publish(topicToPublishEarly, "too early"));
    return client;
  }

  ours(
    "the exchange ends with CONNACK, which names the method and carries data [MQTT-4.12.0-5]",
    async () => {
      const client = await signIn();
      client.send(client.wire.auth(0x18, { authenticationMethod, authenticationData: "secret" }));
      expect(await client.next("connack")).toMatchObject({
        reason: 0,
        properties: { authenticationMethod, authenticationData: Buffer.from("welcome") },
      });
      await client.expectNothing();
    },
  );

  ours("a wrong answer is refused", async () => {
    const client = await signIn();
    client.send(client.wire.auth(0x18, { authenticationMethod, authenticationData: "guess" }));
    await client.expectRefusal(undefined, 0x87);
  });

  ours("another packet during the exchange ends it, and nothing is published", async () => {
    const topic = unique();
    const watcher = await signIn();
    watcher.send(watcher.wire.auth(0x18, { authenticationMethod, authenticationData: "secret" }));
    await watcher.next("connack");
    await watcher.subscribe(topic);
    const client = await signIn(topic);
    await client.closed();
    await watcher.expectNothing();
  });

  ours(
    "re-authentication: AUTH 0x19, question, answer, AUTH 0x00; the session goes on meanwhile",
    async () => {
      const client = await signIn();
      client.send(client.wire.auth(0x18, { authenticationMethod, authenticationData: "secret" }));
      await client.next("connack");
      client.send(client.wire.auth(0x19, { authenticationMethod, authenticationData: "hello" }));
      expect(await client.next("auth")).toMatchObject({ reason: 0x18 });
      const topic = unique();
      await client.subscribe(topic);
      await client.publish(topic, "meanwhile");
      expect(await client.next("publish")).toMatchObject({ text: "meanwhile" });
      client.send(client.wire.auth(0x18, { authenticationMethod, authenticationData: "secret" }));
      expect(await client.next("auth")).toMatchObject({ reason: 0, properties: { authenticationMethod } });
    },
  );

  ours("re-authentication that fails ends the connection with 0x87 [MQTT-4.12.1-2]", async () => {
    const client = await signIn();
    client.send(client.wire.auth(0x18, { authenticationMethod, authenticationData: "secret" }));
    await client.next("connack");
    client.send(client.wire.auth(0x19, { authenticationMethod, authenticationData: "guess" }));
    await client.expectEnd(0x87);
  });

  ours("re-authentication that proves another user ends the connection with 0x87", async () => {
    const client = await signIn();
    client.send(client.wire.auth(0x18, { authenticationMethod, authenticationData: "secret" }));
    await client.next("connack");
    client.send(client.wire.auth(0x19, { authenticationMethod, authenticationData: "other" }));
    await client.expectEnd(0x87);
  });

  ours("DISCONNECT during the exchange gives it up: nothing more is said", async () => {
    for (const packet of [Buffer.of(0xe0, 0), Buffer.of(0xe0, 1, 0x04)]) {
      const before = guarded.broker.metrics()["errors.protocol"];
      const client = await signIn();
      client.send(packet);
      expect(await client.closed()).toEqual([]);
      expect(guarded.broker.metrics()["errors.protocol"]).toBe(before);
    }
  });

  ours("DISCONNECT in place of CONNECT stays an error [MQTT-3.1.0-1]", async () => {
    const before = guarded.broker.metrics()["errors.protocol"];
    const client = await guarded.open(5);
    client.send(Buffer.of(0xe0, 0));
    await client.closed();
    expect(guarded.broker.metrics()["errors.protocol"]).toBe(before + 1);
  });

  ours("re-authentication with another method is a Protocol Error [MQTT-4.12.1-1]", async () => {
    const client = await signIn();
    client.send(client.wire.auth(0x18, { authenticationMethod, authenticationData: "secret" }));
    await client.next("connack");
    client.send(client.wire.auth(0x19, { authenticationMethod: "OTHER", authenticationData: "hello" }));
    await client.expectEnd(0x82);
  });
});
