// What a client repeats on its next connection is answered when its first time is safe, not before: a crash between the
// two would take back what the answer said. Found by killing the broker; provoked here by a store that is held.
import { describe, expect, test } from "vitest";
import type { Packet } from "../../support/packet.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { BOTH, eventually, keptSession } from "../../support/server.ts";
import type { ConnectOptions } from "../../support/wire.ts";
import { useHeldServer } from "../held-store.ts";

const { held, server } = useHeldServer();

/** The answer has not come behind all that was sent so far; it comes when the commits have ended. */
async function onlyBehindCommits(client: RawClient, type: Packet["type"]): Promise<Packet> {
  expect((await client.fence()).filter((packet) => packet.type === type)).toEqual([]);
  held.release();
  return client.next(type);
}

/** Without an end, so that it is resumed at once, whatever the store does. */
const endless = (): ConnectOptions => ({
  ...keptSession(),
  properties: { sessionExpiryInterval: 0xffffffff },
});

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("CONNACK of a new kept session follows the commit of its record", async () => {
    const other = await server.connect(version);
    held.hold();
    const client = await server.open(version);
    client.send(client.wire.connect(keptSession()));
    let told = false;
    const answer = client.next("connack").then((packet) => {
      told = true;
      return packet;
    });
    await eventually(() => held.waiting.length > 0, "a commit waits");
    await other.fence();
    expect(told).toBe(false);
    held.release();
    expect(await answer).toMatchObject({ reason: 0 });
  });

  test("a PUBREL repeated on the next connection is answered when the first one is safe", async () => {
    const options = endless();
    const first = await server.connect(version, options);
    first.send(first.wire.publish("t", "x", { qos: 2, id: 3 }));
    await first.next("pubrec");
    held.hold();
    first.send(first.wire.pubrel(3));
    await eventually(() => held.waiting.length > 0, "a commit waits");
    first.destroy();
    const second = await reconnect(version, options);
    second.send(second.wire.pubrel(3));
    expect(await onlyBehindCommits(second, "pubcomp")).toMatchObject({ id: 3 });
  });

  test("a PUBREL owed to the last connection goes to the next one when PUBREC is safe", async () => {
    const options = endless();
    const first = await server.connect(version, options);
    await first.subscribe([{ filter: "t", qos: 2 }]);
    await server.broker.publish({ topic: "t", payload: "x", qos: 2 });
    const { id } = await first.next("publish");
    held.hold();
    first.send(first.wire.pubrec(id));
    await eventually(() => held.waiting.length > 0, "a commit waits");
    first.destroy();
    const second = await reconnect(version, options);
    expect(await onlyBehindCommits(second, "pubrel")).toMatchObject({ id });
  });

  test("a QoS 2 PUBLISH repeated on the next connection is answered when the first one is safe", async () => {
    const options = endless();
    const first = await server.connect(version, options);
    held.hold();
    first.send(first.wire.publish("t", "x", { qos: 2, id: 3 }));
    await eventually(() => held.waiting.length > 0, "a commit waits");
    first.destroy();
    const second = await reconnect(version, options);
    second.send(second.wire.publish("t", "x", { qos: 2, id: 3, dup: true }));
    expect(await onlyBehindCommits(second, "pubrec")).toMatchObject({ id: 3 });
  });

  async function reconnect(
    level: typeof version,
    options: ReturnType<typeof keptSession>,
  ): Promise<RawClient> {
    const client = await server.open(level);
    client.send(client.wire.connect(options));
    expect(await client.next("connack")).toMatchObject({ reason: 0, sessionPresent: true });
    return client;
  }
});
