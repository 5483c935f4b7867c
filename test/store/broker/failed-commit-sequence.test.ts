// Commits that fail one behind another, or before one that succeeds: in the end the broker believes what the store has, and
// a client was told nothing else.
import { describe, expect, test } from "vitest";
import type { RawClient } from "../../support/raw-client.ts";
import { BOTH, eventually, keptSession } from "../../support/server.ts";
import { type HeldCommit, useHeldServer } from "../held-store.ts";

const { held, server } = useHeldServer();

type Step = readonly [packet: Buffer, end: keyof HeldCommit];

/** Each packet is a commit of its own; both are under way before they end, in their order. */
async function inTwoCommits(client: RawClient, ...steps: readonly [Step, Step]): Promise<void> {
  held.hold();
  const commits: HeldCommit[] = [];
  for (const [packet] of steps) {
    client.send(packet);
    commits.push(await held.commits(commits.length + 1));
  }
  for (const [i, [, end]] of steps.entries()) commits[i][end]();
  held.release();
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  const v5 = version === 5;
  const subscribed = async (client: RawClient, filter: string): Promise<boolean> => {
    await server.broker.publish({ topic: filter, payload: "?", qos: 0 });
    return (await client.fence()).some((packet) => packet.type === "publish");
  };

  test("UNSUBSCRIBE fails, the same one behind it succeeds: the subscription is gone", async () => {
    const client = await server.connect(version, keptSession());
    await client.subscribe([{ filter: "t", qos: 0 }]);
    await inTwoCommits(
      client,
      [client.wire.unsubscribe(8, ["t"]), "fail"],
      [client.wire.unsubscribe(9, ["t"]), "succeed"],
    );
    if (v5) expect(await client.next("unsuback")).toMatchObject({ id: 8, reasons: [0x80] });
    expect(await client.next("unsuback")).toMatchObject({ id: 9, reasons: v5 ? [0] : [] });
    expect(await subscribed(client, "t")).toBe(false);
  });

  test("UNSUBSCRIBE fails twice: the subscription stands", async () => {
    const client = await server.connect(version, keptSession());
    await client.subscribe([{ filter: "t", qos: 0 }]);
    await inTwoCommits(
      client,
      [client.wire.unsubscribe(8, ["t"]), "fail"],
      [client.wire.unsubscribe(9, ["t"]), "fail"],
    );
    await eventually(() => server.broker.metrics()["errors.commit"] === 2, "both have failed");
    if (v5) expect(await client.next("unsuback")).toMatchObject({ id: 8, reasons: [0x80] });
    if (v5) expect(await client.next("unsuback")).toMatchObject({ id: 9, reasons: [0x80] });
    expect(await subscribed(client, "t")).toBe(true);
  });

  test("SUBSCRIBE fails, the same one behind it succeeds: the subscription stands", async () => {
    const client = await server.connect(version, keptSession());
    await inTwoCommits(
      client,
      [client.wire.subscribe(8, [{ filter: "t", qos: 0 }]), "fail"],
      [client.wire.subscribe(9, [{ filter: "t", qos: 0 }]), "succeed"],
    );
    expect(await client.next("suback")).toMatchObject({ id: 8, reasons: [0x80] });
    expect(await client.next("suback")).toMatchObject({ id: 9, reasons: [0] });
    expect(await subscribed(client, "t")).toBe(true);
  });

  test("UNSUBSCRIBE fails, and the SUBSCRIBE behind it: what stood before stands again", async () => {
    const client = await server.connect(version, keptSession());
    await client.subscribe([{ filter: "t", qos: 2 }]);
    await inTwoCommits(
      client,
      [client.wire.unsubscribe(8, ["t"]), "fail"],
      [client.wire.subscribe(9, [{ filter: "t", qos: 0 }]), "fail"],
    );
    if (v5) expect(await client.next("unsuback")).toMatchObject({ id: 8, reasons: [0x80] });
    expect(await client.next("suback")).toMatchObject({ id: 9, reasons: [0x80] });
    await server.broker.publish({ topic: "t", payload: "?", qos: 2 });
    expect(await client.receive()).toMatchObject({ qos: 2 });
  });

  test("a session's end is not safe: the next clean start waits until it is", async () => {
    const options = keptSession();
    await (await server.connect(version, options)).disconnect();
    held.hold();
    const clean = { clientId: options.clientId, clean: true };
    const refused = await server.open(version);
    refused.send(refused.wire.connect(clean));
    (await held.commits(1)).fail();
    expect(await refused.next("connack")).toMatchObject({ reason: v5 ? 0x80 : 3 });
    const second = await server.open(version);
    second.send(second.wire.connect(clean));
    let told = false;
    const connack = second.next("connack").then((packet) => {
      told = true;
      return packet;
    });
    const commit = await held.commits(1);
    expect(told).toBe(false);
    commit.succeed();
    expect(await connack).toMatchObject({ reason: 0, sessionPresent: false });
  });

  test("QoS 2 of a kept publisher, acknowledged: its delivery is not safe, and comes all the same, once", async () => {
    const options = keptSession();
    const receiver = await server.connect(version, options);
    await receiver.subscribe([{ filter: "t", qos: 2 }]);
    const publisher = await server.connect(version, keptSession());
    held.hold();
    publisher.send(publisher.wire.publish("t", "promised", { qos: 2, id: 6 }));
    (await held.commits(1)).succeed();
    expect(await publisher.next("pubrec")).toMatchObject({ id: 6, reason: 0 });
    (await held.commits(1)).fail();
    held.release();
    await receiver.expectEnd(0x80);
    const again = await server.connect(version, options);
    expect(await again.receive()).toMatchObject({ text: "promised", qos: 2, dup: false });
    await again.expectNothing();
  });

  test.each([
    ["another", "old"],
    ["none", ""],
  ])("a retained message is refused where there was %s: that stands again", async (_name, before) => {
    const publisher = await server.connect(version);
    if (before !== "") await publisher.publish("r", before, { qos: 1, retain: true });
    held.hold();
    publisher.send(publisher.wire.publish("r", "refused", { qos: 1, id: 40, retain: true }));
    (await held.commits(1)).fail();
    held.release();
    if (v5) expect(await publisher.next("puback")).toMatchObject({ id: 40, reason: 0x80 });
    await eventually(() => server.broker.metrics()["errors.commit"] === 1, "it has failed");
    const reader = await server.connect(version);
    await reader.subscribe([{ filter: "r", qos: 1 }]);
    if (before !== "") expect(await reader.receive()).toMatchObject({ text: before, retain: true });
    await reader.expectNothing();
  });

  test("a retained message is refused, and so is the next: what stood before both stands again", async () => {
    const publisher = await server.connect(version);
    await publisher.publish("r", "old", { qos: 1, retain: true });
    await inTwoCommits(
      publisher,
      [publisher.wire.publish("r", "refused", { qos: 1, id: 40, retain: true }), "fail"],
      [publisher.wire.publish("r", "", { qos: 1, id: 41, retain: true }), "fail"],
    );
    await eventually(() => server.broker.metrics()["errors.commit"] === 2, "both have failed");
    const reader = await server.connect(version);
    await reader.subscribe([{ filter: "r", qos: 1 }]);
    expect(await reader.receive()).toMatchObject({ text: "old", retain: true });
  });

  test("a retained message is refused, the next one is not: that stands", async () => {
    const publisher = await server.connect(version);
    await inTwoCommits(
      publisher,
      [publisher.wire.publish("r", "refused", { qos: 1, id: 40, retain: true }), "fail"],
      [publisher.wire.publish("r", "good", { qos: 1, id: 41, retain: true }), "succeed"],
    );
    expect(await publisher.of("puback", 41)).toMatchObject({ reason: v5 ? 0x10 : 0 });
    const reader = await server.connect(version);
    await reader.subscribe([{ filter: "r", qos: 1 }]);
    expect(await reader.receive()).toMatchObject({ text: "good", retain: true });
  });

  test("a clean start that waits for the store gives way to the next connection of its client", async () => {
    const options = keptSession();
    await (await server.connect(version, options)).disconnect();
    held.hold();
    const older = await server.open(version);
    older.send(older.wire.connect({ clientId: options.clientId, clean: true }));
    const first = await held.commits(1);
    const newer = await server.open(version);
    newer.send(newer.wire.connect(options));
    const second = await held.commits(2);
    first.succeed();
    second.succeed();
    held.release();
    expect(await newer.next("connack")).toMatchObject({ reason: 0, sessionPresent: false });
    expect(await older.closed()).toEqual([]);
    await newer.expectNothing();
    newer.destroy();
    const again = await server.connect(version, options);
    expect(again.connack.sessionPresent).toBe(true);
  });
});
