// Answers of code that is not ours: thenables of another make, nonsense, and none at all where no client waits for it.
import { afterEach, describe, expect, test } from "vitest";
import type { Policy } from "../../src/access/policy.ts";
import { openPolicy } from "../support/policy.ts";
import { BOTH, eventually, TestServer } from "../support/server.ts";

let server: TestServer;
afterEach(() => server.stop());

async function start(override: Partial<Policy>): Promise<void> {
  server = new TestServer({
    profile: openPolicy({ override }),
    sysInterval: 0,
    limits: { heldTimeout: 200 },
  });
  await server.start();
}

/** Not a Promise, and no less an answer that comes later. */
function thenable<T>(value: T): PromiseLike<T> & Promise<T> {
  // biome-ignore lint/suspicious/noThenProperty: it is what this file is about
  const one = { then: (resolve: (value: T) => void) => void setImmediate(() => resolve(value)) };
  return one as never;
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const v5 = version === 5;

  test("every question may be answered by any thenable", async () => {
    const { connect } = openPolicy();
    await start({
      connect: (request) => thenable(connect(request) as never),
      authorizePublish: (_identity, topic) => thenable({ allow: topic !== "no" }),
      authorizeSubscribe: (_identity, { filter, qos }) => thenable(filter === "no" ? 0x87 : qos),
    });
    const client = await server
      .connect(version, { will: { topic: "no", payload: "" } })
      .catch(() => undefined);
    expect(client).toBeUndefined();
    const other = await server.connect(version);
    const { wire } = other;
    other.send(wire.subscribe(1, "#"), wire.subscribe(2, "no"));
    expect(await other.of("suback", 1)).toMatchObject({ reasons: [0] });
    expect(await other.of("suback", 2)).toMatchObject({ reasons: [v5 ? 0x87 : 0x80] });
    other.send(wire.publish("no", "", { qos: 1, id: 3 }), wire.publish("yes", "text", { qos: 1, id: 4 }));
    expect(await other.of("puback")).toMatchObject({ id: 3, reason: v5 ? 0x87 : 0 });
    expect(await other.of("puback")).toMatchObject({ id: 4, reason: 0 });
    expect(await other.of("publish")).toMatchObject({ text: "text" });
  });

  test.each([
    ["at once", () => undefined],
    ["later", () => Promise.resolve(undefined)],
  ])("a verdict that is none, %s, refuses", async (_how, answer) => {
    await start({ authorizePublish: answer as never });
    const client = await server.connect(version);
    client.send(client.wire.publish("a", "", { qos: 1, id: 1 }), client.wire.pingreq());
    expect(await client.next("puback")).toMatchObject({ id: 1, reason: v5 ? 0x87 : 0 });
    await client.next("pingresp");
    expect(server.broker.metrics()["errors.hook"]).toBe(1);
  });

  test("a Will that nobody decides about is not sent, and is given up", async () => {
    let hang = false;
    await start({
      authorizePublish: (_identity, topic) =>
        hang && topic === "will" ? new Promise(() => {}) : { allow: true, cacheable: false },
    });
    const watcher = await server.connect(version);
    await watcher.subscribe("#");
    const client = await server.connect(version, { will: { topic: "will", payload: "gone" } });
    hang = true;
    client.destroy();
    await eventually(() => server.broker.metrics()["closed.held"] === 1, "the question is given up");
    await watcher.expectNothing();
  });

  test("a subscription nobody decides about ends", async () => {
    let hang = false;
    await start({
      authorizeSubscribe: (_identity, { qos }) => (hang ? new Promise(() => {}) : qos),
    });
    const client = await server.connect(version);
    await client.subscribe("a");
    hang = true;
    server.broker.use({});
    await eventually(() => server.broker.metrics()["subscriptions.count"] === 0, "it ends");
    expect(server.broker.metrics()["closed.held"]).toBe(1);
  });
});
