// Store before you acknowledge: what each acknowledgement waits for, and that they leave in the order of their packets.
import { describe, expect, test } from "vitest";
import type { RawClient } from "../../support/raw-client.ts";
import { BOTH, keptSession } from "../../support/server.ts";
import type { Version } from "../../support/wire.ts";
import { useHeldServer } from "../held-store.ts";

const { held, server } = useHeldServer();

/** A persistent session, online, subscribed with QoS 2. */
async function keeper(version: Version, topic: string): Promise<RawClient> {
  const client = await server.connect(version, keptSession());
  await client.subscribe([{ filter: topic, qos: 2 }]);
  return client;
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test.each(["online", "offline"])("PUBACK follows the commit where a kept session is %s", async (state) => {
    const receiver = await keeper(version, "t");
    if (state === "offline") await receiver.disconnect();
    const publisher = await server.connect(version);
    held.hold();
    publisher.send(publisher.wire.publish("t", "x", { qos: 1, id: 5 }));
    const commit = await held.commits(1);
    await publisher.expectNothing();
    // QoS 1 may be delivered before it is safe.
    if (state === "online") expect(await receiver.next("publish")).toMatchObject({ text: "x" });
    commit.succeed();
    expect(await publisher.next("puback")).toMatchObject({ id: 5, reason: 0 });
  });

  test("PUBACK and PUBREC leave at once where nobody's session is kept", async () => {
    const receiver = await server.connect(version);
    await receiver.subscribe([{ filter: "t", qos: 2 }]);
    const publisher = await server.connect(version);
    held.hold();
    publisher.send(
      publisher.wire.publish("t", "1", { qos: 1, id: 1 }),
      publisher.wire.publish("t", "2", { qos: 2, id: 2 }),
      publisher.wire.publish("nobody", "3", { qos: 1, id: 3 }),
    );
    await publisher.expectAcknowledgements(["puback", 1], ["pubrec", 2], ["puback", 3]);
    expect(held.waiting).toHaveLength(0);
  });

  test("acknowledgements behind one that waits wait too, and all leave in the order of their packets", async () => {
    await keeper(version, "kept");
    const publisher = await server.connect(version);
    held.hold();
    const { wire } = publisher;
    publisher.send(
      wire.publish("nobody", "", { qos: 1, id: 1 }),
      wire.publish("kept", "", { qos: 1, id: 2 }),
      wire.publish("nobody", "", { qos: 2, id: 3 }),
      wire.publish("kept", "", { qos: 2, id: 4 }),
      wire.publish("nobody", "", { qos: 1, id: 5 }),
    );
    expect(await publisher.next("puback")).toMatchObject({ id: 1 });
    const commit = await held.commits(1);
    await publisher.expectNothing();
    commit.succeed();
    await publisher.expectAcknowledgements(["puback", 2], ["pubrec", 3], ["pubrec", 4], ["puback", 5]);
  });

  test("a commit that is ready before an earlier one releases nothing", async () => {
    await keeper(version, "kept");
    const publisher = await server.connect(version);
    held.hold();
    publisher.send(publisher.wire.publish("kept", "", { qos: 1, id: 1 }));
    const first = await held.commits(1);
    publisher.send(publisher.wire.publish("kept", "", { qos: 1, id: 2 }));
    const second = await held.commits(2);
    second.succeed();
    await publisher.expectNothing();
    first.succeed();
    await publisher.expectAcknowledgements(["puback", 1], ["puback", 2]);
  });

  test("a message that comes while older commits end waits for its own", async () => {
    await keeper(version, "kept");
    const publisher = await server.connect(version);
    held.hold();
    const publish = async (id: number, commits: number) => {
      publisher.send(publisher.wire.publish("kept", "", { qos: 1, id }));
      return held.commits(commits);
    };
    const first = await publish(1, 1);
    const second = await publish(2, 2);
    first.succeed();
    expect(await publisher.next("puback")).toMatchObject({ id: 1 });
    const third = await publish(3, 2);
    second.succeed();
    expect(await publisher.next("puback")).toMatchObject({ id: 2 });
    await publisher.expectNothing();
    third.succeed();
    expect(await publisher.next("puback")).toMatchObject({ id: 3 });
  });

  test("a retained message is acknowledged when it is safe", async () => {
    const publisher = await server.connect(version);
    held.hold();
    publisher.send(publisher.wire.publish("r", "x", { qos: 1, id: 9, retain: true }));
    const commit = await held.commits(1);
    await publisher.expectNothing();
    commit.succeed();
    expect(await publisher.next("puback")).toMatchObject({ id: 9 });
  });

  test("QoS 2 of a kept publisher is delivered after the commit of its id, once", async () => {
    const receiver = await server.connect(version);
    await receiver.subscribe([{ filter: "t", qos: 2 }]);
    const publisher = await server.connect(version, keptSession());
    held.hold();
    publisher.send(publisher.wire.publish("t", "once", { qos: 2, id: 7 }));
    await held.commits(1);
    publisher.send(publisher.wire.publish("t", "once", { qos: 2, id: 7, dup: true }));
    await publisher.expectNothing();
    await receiver.expectNothing();
    held.release();
    expect(await receiver.next("publish")).toMatchObject({ text: "once" });
    expect(await publisher.next("pubrec")).toMatchObject({ id: 7 });
    expect(await publisher.next("pubrec")).toMatchObject({ id: 7 });
    held.hold();
    publisher.send(publisher.wire.pubrel(7));
    const released = await held.commits(1);
    await publisher.expectNothing();
    released.succeed();
    expect(await publisher.next("pubcomp")).toMatchObject({ id: 7, reason: 0 });
    await receiver.expectNothing();
  });

  test("PUBREL follows the commit of “PUBREC received”", async () => {
    const receiver = await keeper(version, "t");
    await server.broker.publish({ topic: "t", payload: "x", qos: 2 });
    const { id } = await receiver.next("publish");
    held.hold();
    receiver.send(receiver.wire.pubrec(id));
    const commit = await held.commits(1);
    await receiver.expectNothing();
    commit.succeed();
    expect(await receiver.next("pubrel")).toMatchObject({ id });
  });

  test("SUBACK and UNSUBACK of a kept session follow the commit; those of others do not wait", async () => {
    const kept = await server.connect(version, keptSession());
    const other = await server.connect(version);
    held.hold();
    other.send(other.wire.subscribe(1, "a"), other.wire.unsubscribe(2, "a"));
    await other.next("suback");
    await other.next("unsuback");
    kept.send(kept.wire.subscribe(3, "a"));
    const commit = await held.commits(1);
    await kept.expectNothing();
    commit.succeed();
    expect(await kept.next("suback")).toMatchObject({ id: 3, reasons: [0] });
    kept.send(kept.wire.unsubscribe(4, "a"));
    const second = await held.commits(1);
    await kept.expectNothing();
    second.succeed();
    expect(await kept.next("unsuback")).toMatchObject({ id: 4 });
  });

  test("what is acknowledged while its client goes and comes back is not answered twice", async () => {
    await keeper(version, "t");
    // Without an end: one that has an end is resumed when the store knows.
    const options = { ...keptSession(), properties: { sessionExpiryInterval: 0xffffffff } };
    const publisher = await server.connect(version, options);
    held.hold();
    publisher.send(publisher.wire.publish("t", "x", { qos: 1, id: 1 }));
    await held.commits(1);
    publisher.destroy();
    const again = await server.open(version);
    again.send(again.wire.connect(options));
    await again.next("connack");
    held.release();
    await again.expectNothing();
    expect(await again.publish("t", "y", { qos: 1, id: 1 })).toMatchObject({ id: 1 });
  });
});

test("broker.publish() resolves when a kept session's message is safe", async () => {
  await keeper(5, "t");
  held.hold();
  let done = false;
  const published = server.broker.publish({ topic: "t", payload: "x", qos: 1 }).then(() => {
    done = true;
  });
  const commit = await held.commits(1);
  expect(done).toBe(false);
  commit.succeed();
  await published;
});
