// A second connection with the same Client Identifier takes the session over [MQTT-3.1.4-3].
import { describe, expect, test } from "vitest";
import { ALL, BOTH, unique, useServer } from "../../support/server.ts";
import type { Version } from "../../support/wire.ts";

const server = useServer();
const keep = (version: Version): object =>
  version === 5 ? { properties: { sessionExpiryInterval: 100 } } : {};

describe.each(ALL)("MQTT %s", (_name, version) => {
  test("the first connection is told 0x8E (5.0) and closed", async () => {
    const clientId = unique();
    const first = await server.connect(version, { clientId });
    const second = await server.connect(version, { clientId });
    await first.expectEnd(0x8e);
    await second.expectNothing();
  });

  test("the session goes over with subscriptions and messages in flight", async () => {
    const clientId = unique();
    const topic = unique("takeover");
    const first = await server.connect(version, { clientId, clean: false, ...keep(version) });
    await first.subscribe([{ filter: topic, qos: 1 }]);
    const publisher = await server.connect(version);
    await publisher.publish(topic, "unacknowledged", { qos: 1 });
    const sent = await first.next("publish");
    const second = await server.connect(version, { clientId, clean: false, ...keep(version) });
    expect(second.connack.sessionPresent).toBe(version !== 3);
    const again = await second.receive();
    expect(again).toMatchObject({ text: "unacknowledged", qos: 1, dup: true, id: sent.id });
    await publisher.publish(topic, "next", { qos: 1 });
    expect(await second.receive()).toMatchObject({ text: "next", dup: false });
  });

  test("many connections with one Client Identifier leave exactly one", async () => {
    const clientId = unique();
    const topic = unique("race");
    const clients = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const client = await server.open(version);
        client.send(client.wire.connect({ clientId }), client.wire.subscribe(1, topic));
        return client;
      }),
    );
    const last = await server.connect(version, { clientId });
    await Promise.all(clients.map((client) => client.closed()));
    await last.subscribe(topic);
    await last.publish(topic, "once");
    expect(await last.next("publish")).toMatchObject({ text: "once" });
    await last.expectNothing();
  });
});

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const other: Version = version === 5 ? 4 : 5;
  test(`a client of the other version takes over as well, the loser answered in its own form`, async () => {
    const clientId = unique();
    const first = await server.connect(version, { clientId });
    await server.connect(other, { clientId });
    await first.expectEnd(0x8e);
  });

  test("a refused CONNECT takes nothing over [MQTT-3.1.4-2]", async () => {
    const clientId = unique();
    const first = await server.connect(version, { clientId });
    const bad = await server.open(version);
    bad.send(bad.wire.connect({ clientId, flipFlags: 1 }));
    await bad.closed();
    await first.expectNothing();
  });
});
