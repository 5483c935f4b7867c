// What a receiver sees must not depend on what was prepared for it and never sent, nor on what another client was told.
import { describe, expect, test } from "vitest";
import { openPolicy } from "../../support/policy.ts";
import { ours, unique, useServer } from "../../support/server.ts";

describe("standard policy", () => {
  const server = useServer({ sysInterval: 0 });

  test("a topic alias is never used before the packet that assigns it [MQTT-3.3.2-7]", async () => {
    const client = await server.connect(5, {
      clean: false,
      properties: { sessionExpiryInterval: 100, topicAliasMaximum: 5 },
    });
    await client.subscribe([{ filter: "alias/topic", qos: 2 }]);
    await server.broker.publish({ topic: "alias/topic", payload: "1", qos: 2 });
    const first = await client.next("publish");
    expect(first).toMatchObject({ topic: "alias/topic", text: "1", properties: { topicAlias: 1 } });
    await client.acknowledge(first);
    await server.broker.publish({ topic: "alias/topic", payload: "2", qos: 0 });
    expect(await client.next("publish")).toMatchObject({ topic: "", properties: { topicAlias: 1 } });
  });

  test("a shared subscription of this process takes its turn", async () => {
    const seen: string[] = [];
    const end = await server.broker.subscribe("$share/local/inner", (message) => {
      seen.push(Buffer.from(message.payload).toString());
    });
    const client = await server.connect(5);
    await client.subscribe([{ filter: "$share/local/inner", qos: 0 }]);
    const publisher = await server.connect(5);
    for (const text of ["1", "2", "3", "4"]) await publisher.publish("inner", text);
    await new Promise((resolve) => setImmediate(resolve));
    const others = (await client.fence()).map((packet) => ("text" in packet ? packet.text : packet.type));
    end();
    expect(seen.length).toBe(2);
    expect([...seen, ...others].sort()).toEqual(["1", "2", "3", "4"]);
  });

  test("a PUBREC that refuses is not answered, whatever its identifier [MQTT-4.3.3-4]", async () => {
    const client = await server.connect(5);
    client.send(client.wire.pubrec(77, 0x80));
    await client.expectNothing();
    client.send(client.wire.pubrec(77));
    expect(await client.next("pubrel")).toMatchObject({ id: 77, reason: 0x92 });
  });
});

describe("a policy with words of its own", () => {
  const server = useServer({
    sysInterval: 0,
    profile: openPolicy({
      override: {
        authorizePublish: (identity) =>
          identity.clientId.startsWith("told")
            ? { allow: false, reason: 0x87, reasonString: "for your eyes only" }
            : { allow: false, reason: 0x87 },
      },
    }),
  });

  ours("they reach the client they were meant for, or nobody", async () => {
    const told = await server.connect(4, { clientId: unique("told") });
    await told.publish("t", "x", { qos: 1 });
    await told.publish("t", "x", { qos: 0 });
    const other = await server.connect(5, { clientId: unique("other") });
    const answer = await other.publish("t", "x", { qos: 1 });
    expect(answer).toMatchObject({ reason: 0x87 });
    expect(JSON.stringify(answer)).not.toContain("eyes only");
  });
});
