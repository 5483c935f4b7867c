// How often a session may publish, as its policy said at CONNECT: what is beyond is dropped, and the policy is told.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { PublishRates } from "../../src/access/policy.ts";
import { Border } from "../../src/core/border.ts";
import { openPolicy } from "../support/policy.ts";
import { BOTH, TestServer, unique, keptSession } from "../support/server.ts";

let server: TestServer;
let rates: PublishRates;
let limited: string[];
let asked: number;

const policy = openPolicy({
  override: {
    connect: (request) => ({
      ok: true,
      identity: { clientId: request.clientId, username: undefined, sessionKey: request.clientId },
      rates: request.clientId.startsWith("free") ? undefined : rates,
    }),
    authorizePublish: (_identity, topic) => {
      asked++;
      const [, speaker] = topic.split("/");
      return { allow: true, meter: speaker };
    },
    limited: ({ clientId }) => {
      limited.push(clientId);
    },
  },
});

beforeEach(async () => {
  // A window longer than any test: what is counted does not depend on how fast this machine is.
  rates = { qos0: 3, qos1: 2, windowMs: 600_000 };
  limited = [];
  asked = 0;
  server = new TestServer({ profile: policy, sysInterval: 0 });
  await server.start();
});
afterEach(() => server.stop());

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const v5 = version === 5;

  test("n pass, the rest is dropped without a word; others notice nothing", async () => {
    const watcher = await server.connect(version, { clientId: unique("free") });
    await watcher.subscribe([{ filter: "#", qos: 1 }]);
    const clientId = unique("metered");
    const client = await server.connect(version, { clientId });
    const { wire } = client;
    client.send(
      ...Array.from({ length: 10 }, (_, i) => wire.publish("a", `q0 ${i}`)),
      ...Array.from({ length: 10 }, (_, i) => wire.publish("b", `q1 ${i}`, { qos: 1, id: i + 1 })),
    );
    expect((await client.fence()).map((packet) => ("id" in packet ? packet.id : packet.type))).toEqual([
      1, 2,
    ]);
    const got = (await watcher.fence()).map((packet) => ("text" in packet ? packet.text : packet.type));
    expect(got).toEqual(["q0 0", "q0 1", "q0 2", "q1 0", "q1 1"]);
    expect(server.broker.metrics()["dropped.rate"]).toBe(15);
    expect([...new Set(limited)]).toEqual([clientId]);
    expect(limited.length).toBeLessThanOrEqual(3);
    // The count costs no question.
    expect(asked).toBe(2);
    for (let i = 0; i < 20; i++) watcher.send(watcher.wire.publish("free", String(i)));
    expect((await watcher.fence()).length).toBe(20);
  });

  test("a reason code is for 5.0", async () => {
    rates = { qos1: 1, windowMs: 600_000, beyond: 0x97 };
    const client = await server.connect(version, { clientId: unique("metered") });
    const { wire } = client;
    client.send(wire.publish("a", "", { qos: 1, id: 1 }), wire.publish("a", "", { qos: 1, id: 2 }));
    const acks = await client.fence();
    expect(acks).toMatchObject([{ id: 1 }, ...(v5 ? [{ id: 2, reason: 0x97 }] : [])]);
    expect(acks.length).toBe(v5 ? 2 : 1);
  });

  test("those it speaks for are counted on their own", async () => {
    rates = { qos0: 1, windowMs: 600_000 };
    const watcher = await server.connect(version, { clientId: unique("free") });
    await watcher.subscribe("#");
    const client = await server.connect(version, { clientId: unique("metered") });
    const { wire } = client;
    for (const speaker of ["x", "y", "x", "y", "z"]) client.send(wire.publish(`from/${speaker}`, speaker));
    client.send(wire.publish("own", "own"), wire.publish("own", "own again"));
    await client.fence();
    const got = (await watcher.fence()).map((packet) => ("text" in packet ? packet.text : packet.type));
    expect(got).toEqual(["x", "y", "z", "own"]);
  });

  test("coming again does not begin the window anew where the session is kept", async () => {
    rates = { qos0: 1, windowMs: 600_000 };
    const options = keptSession(unique("metered"));
    const first = await server.connect(version, options);
    first.send(first.wire.publish("a", "0"));
    await first.fence();
    const second = await server.connect(version, options);
    second.send(second.wire.publish("a", "1"));
    await second.fence();
    expect(server.broker.metrics()["dropped.rate"]).toBe(1);
  });

  test("after a trap the counting goes on", async () => {
    rates = { qos0: 1, windowMs: 600_000 };
    const client = await server.connect(version, { clientId: unique("metered") });
    const offender = await server.connect(version, { clientId: unique("free") });
    client.send(client.wire.publish("a", "0"), client.wire.publish("a", "1"));
    await client.fence();
    expect(server.broker.metrics()["dropped.rate"]).toBe(1);
    vi.spyOn(Border.prototype, "route").mockImplementationOnce(function (this: Border) {
      this.core.trap();
      return 0;
    });
    offender.send(offender.wire.publish("a", "trap"));
    await offender.closed();
    client.send(client.wire.publish("a", "2"), client.wire.publish("a", "3"));
    await client.fence();
    expect(server.broker.metrics()["dropped.rate"]).toBe(2);
  });
});
