// A client that sends on while the store hangs: its answers wait up to a bound, then it is not read; nothing is lost or refused.
import { describe, expect, test } from "vitest";
import { useHeldServer } from "../store/held-store.ts";
import type { RawClient } from "../support/raw-client.ts";
import { BOTH, eventually, keptSession } from "../support/server.ts";

/** Three answers of 1,024 and 8 bytes of filter; and 387 acknowledgements of 8 bytes. */
const HELD_BYTES = 3 * (1_024 + 8);
const MOST_ACKS = Math.floor(HELD_BYTES / 8);
const { held, server } = useHeldServer({ limits: { heldBytes: HELD_BYTES, heldTimeout: 100 } });
const filter = (i: number): string => `filter/${i}`;

/** Is what this client has sent read to its end? Its PING is answered where it is. */
async function isRead(client: RawClient): Promise<boolean> {
  client.send(client.wire.pingreq());
  const answered = client
    .take(({ type }) => type === "pingresp", "pingresp", 300)
    .then(
      () => true,
      () => false,
    );
  return answered;
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const connect = (): Promise<RawClient> => server.connect(version, keptSession());

  test.each([2, 3, 4])("%i SUBSCRIBE in one write: the fourth answer is one too many", async (count) => {
    const client = await connect();
    held.hold();
    const { wire } = client;
    const packets = Array.from({ length: count }, (_, i) => wire.subscribe(i + 1, filter(i)));
    client.send(...packets);
    await eventually(() => held.waiting.length > 0, "a commit hangs");
    expect(await isRead(client)).toBe(count < 4);
    expect(server.broker.metrics()["delayed.answers"] ?? 0).toBe(count < 4 ? 0 : 1);
    held.release();
    for (let i = 0; i < count; i++)
      expect(await client.of("suback")).toMatchObject({ id: i + 1, reasons: [0] });
    if (count === 4) await client.next("pingresp");
    await client.expectNothing();
  });

  test.each([2, 3, 4])("%i UNSUBSCRIBE in one write", async (count) => {
    const client = await connect();
    await client.subscribe(Array.from({ length: count }, (_, i) => filter(i)));
    held.hold();
    const { wire } = client;
    client.send(...Array.from({ length: count }, (_, i) => wire.unsubscribe(i + 1, filter(i))));
    await eventually(() => held.waiting.length > 0, "a commit hangs");
    expect(await isRead(client)).toBe(count < 4);
    held.release();
    for (let i = 0; i < count; i++) expect(await client.next("unsuback")).toMatchObject({ id: i + 1 });
    if (count === 4) await client.next("pingresp");
  });

  test.each([MOST_ACKS - 1, MOST_ACKS, MOST_ACKS + 1])("%i PUBLISH of QoS 1 that wait", async (count) => {
    const reader = await connect();
    await reader.subscribe([{ filter: "t", qos: 1 }]);
    const client = await connect();
    held.hold();
    const { wire } = client;
    client.send(
      ...Array.from({ length: count }, (_, i) => wire.publish("t", String(i), { qos: 1, id: i + 1 })),
    );
    await eventually(() => held.waiting.length > 0, "a commit hangs");
    expect(await isRead(client)).toBe(count <= MOST_ACKS);
    held.release();
    for (let i = 0; i < count; i++) expect(await client.of("puback")).toMatchObject({ id: i + 1, reason: 0 });
    for (let i = 0; i < count; i++) expect(await reader.receive()).toMatchObject({ text: String(i) });
  });

  test.each(["publish", "pubrel", "pubrec"] as const)(
    "%s of QoS 2, the same again and again, waits too",
    async (kind) => {
      const client = await connect();
      const { wire } = client;
      const packet = {
        publish: wire.publish("t", "", { qos: 2, id: 9 }),
        pubrel: wire.pubrel(7),
        pubrec: wire.pubrec(8),
      }[kind];
      held.hold();
      client.send(wire.subscribe(1, "s"), wire.publish("t", "", { qos: 2, id: 9 }));
      await eventually(() => held.waiting.length > 0, "a commit hangs");
      // PUBREL counts from the next run on: in this one the broker finds out what it owes.
      client.send(...Array.from({ length: MOST_ACKS }, () => packet));
      await isRead(client);
      client.send(packet);
      expect(await isRead(client)).toBe(false);
      held.release();
      client.send(wire.pubrel(9));
      await client.of("pubcomp", 9);
    },
  );

  test("longer than limits.heldTimeout: it goes on waiting, and is not closed", async () => {
    const client = await connect();
    held.hold();
    const { wire } = client;
    client.send(...[0, 1, 2, 3, 4, 5].map((i) => wire.subscribe(i + 1, filter(i))));
    await eventually(() => held.waiting.length > 0, "a commit hangs");
    expect(await isRead(client)).toBe(false);
    expect(server.broker.metrics()["closed.held"] ?? 0).toBe(0);
    held.release();
    for (let i = 0; i < 6; i++) expect(await client.of("suback")).toMatchObject({ id: i + 1 });
  });
});
