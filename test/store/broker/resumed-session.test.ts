// A session that has an end, or a Will that waits, and whose client comes back in time: CONNACK says so when the store knows,
// or a crash would end the session after all, or send the Will. Found by killing a broker whose store had failed.
import { describe, expect, test } from "vitest";
import type { RawClient } from "../../support/raw-client.ts";
import { eventually, keptSession } from "../../support/server.ts";
import type { ConnectOptions } from "../../support/wire.ts";
import { useHeldServer } from "../held-store.ts";

const { held, server } = useHeldServer();

/** Left with an end; a Will that waits only by intent. */
async function leave(options: ConnectOptions): Promise<void> {
  const client = await server.connect(5, options);
  await client.subscribe([{ filter: "t", qos: 1 }]);
  if (options.will === undefined) await client.disconnect();
  else client.destroy();
  await eventually(() => server.broker.metrics()["clients.connected"] === 0, "it is gone");
  await server.broker.publish({ topic: "behind", payload: "it", qos: 1, retain: true });
}

async function comeBack(options: ConnectOptions): Promise<{ client: RawClient; told: () => boolean }> {
  const client = await server.open(5);
  client.send(client.wire.connect({ ...options, will: undefined }));
  let told = false;
  client.next("connack").then(
    (packet) => {
      client.connack = packet;
      told = true;
    },
    () => undefined, // closed without one: the tests ask whether it was told
  );
  return { client, told: () => told };
}

const will = { topic: "w", payload: "gone", properties: { willDelayInterval: 100 } };

describe.each([
  ["an end", keptSession()],
  ["a Will that waits", { ...keptSession(), properties: { sessionExpiryInterval: 0xffffffff }, will }],
])("a session with %s", (_name, options) => {
  test("is resumed when that is safe", async () => {
    await leave(options);
    held.hold();
    const { client, told } = await comeBack(options);
    const commit = await held.commits(1);
    expect(told()).toBe(false);
    commit.succeed();
    held.release();
    await eventually(told, "CONNACK");
    expect(client.connack).toMatchObject({ reason: 0, sessionPresent: true });
    await server.broker.publish({ topic: "t", payload: "x", qos: 1 });
    expect(await client.receive()).toMatchObject({ text: "x" });
  });

  test("is resumed all the same where the store cannot write", async () => {
    await leave(options);
    held.hold();
    const { client, told } = await comeBack(options);
    (await held.commits(1)).fail();
    held.release();
    await eventually(told, "CONNACK");
    expect(client.connack).toMatchObject({ reason: 0, sessionPresent: true });
  });

  test("goes to the newest connection of its client", async () => {
    await leave(options);
    held.hold();
    const first = await comeBack(options);
    await held.commits(1);
    const second = await comeBack(options);
    expect(await first.client.closed()).toEqual([]);
    held.release();
    await eventually(second.told, "CONNACK");
    expect(second.client.connack).toMatchObject({ reason: 0, sessionPresent: true });
    await second.client.expectNothing();
  });
});

test("a session without an end is resumed at once", async () => {
  const options = { ...keptSession(), properties: { sessionExpiryInterval: 0xffffffff } };
  await leave(options);
  held.hold();
  const { client, told } = await comeBack(options);
  await eventually(told, "CONNACK");
  expect(client.connack).toMatchObject({ reason: 0, sessionPresent: true });
});
