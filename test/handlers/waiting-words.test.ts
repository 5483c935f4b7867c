// The policy's own words for a refusal that stands behind an acknowledgement which waits for the store: they go with it, and
// with no other.
import { describe, expect, test } from "vitest";
import { useHeldServer } from "../store/held-store.ts";
import { openPolicy } from "../support/policy.ts";
import { keptSession } from "../support/server.ts";

const profile = openPolicy({
  override: {
    // "say/WORDS" is refused with these words, "deny" without any.
    authorizePublish: (_identity, topic) =>
      topic.startsWith("say/")
        ? { allow: false, reason: 0x87, reasonString: topic.slice(4) }
        : { allow: topic !== "deny", reason: 0x87 },
  },
});
const { held, server } = useHeldServer({ profile });
const DEFAULT = "not authorized";

describe("MQTT 5.0", () => {
  test("each refusal has its own words, whoever is refused in between", async () => {
    const reader = await server.connect(5, keptSession());
    await reader.subscribe([{ filter: "t", qos: 1 }]);
    const [one, two, three] = [await server.connect(5), await server.connect(5), await server.connect(5)];
    const { wire } = one;
    held.hold();
    for (const client of [one, two])
      client.send(
        wire.publish("t", "x", { qos: 1, id: 1 }),
        wire.publish(`say/${client === one ? "first" : "other"}`, "x", { qos: 1, id: 2 }),
        wire.publish("deny", "x", { qos: 1, id: 3 }),
        wire.publish("say/second", "x", { qos: 2, id: 4 }),
      );
    await one.fence();
    await two.fence();
    // Nothing waits before this one.
    expect((await three.publish("say/at once", "x", { qos: 1 }))?.properties).toMatchObject({
      reasonString: "at once",
    });
    expect((await three.publish("deny", "x", { qos: 1 }))?.properties.reasonString).toMatch(
      /not authorized/i,
    );
    held.release();
    for (const [client, first] of [
      [one, "first"],
      [two, "other"],
    ] as const) {
      expect(await client.next("puback")).toMatchObject({ id: 1, reason: 0 });
      expect(await client.next("puback")).toMatchObject({ id: 2, properties: { reasonString: first } });
      const plain = await client.next("puback");
      expect(plain).toMatchObject({ id: 3, reason: 0x87 });
      expect(plain.properties.reasonString).toMatch(new RegExp(DEFAULT, "i"));
      expect(await client.next("pubrec")).toMatchObject({ id: 4, properties: { reasonString: "second" } });
    }
  });

  test("more than there is room for: the rest has the text of the reason code, and the room is free again", async () => {
    const reader = await server.connect(5, keptSession());
    await reader.subscribe([{ filter: "t", qos: 1 }]);
    for (let round = 0; round < 2; round++) {
      const client = await server.connect(5);
      const { wire } = client;
      held.hold();
      client.send(wire.publish("t", "x", { qos: 1, id: 1 }));
      for (let id = 2; id <= 66; id++) client.send(wire.publish(`say/${id}`, "x", { qos: 1, id }));
      await client.fence();
      if (round === 0) {
        // Gone with all that waited for it.
        client.destroy();
        held.release();
        continue;
      }
      held.release();
      await client.next("puback");
      const said: (string | undefined)[] = [];
      for (let id = 2; id <= 66; id++) said.push((await client.next("puback")).properties.reasonString);
      expect(said.slice(0, 64)).toEqual(Array.from({ length: 64 }, (_, i) => String(i + 2)));
      expect(said[64]).toMatch(new RegExp(DEFAULT, "i"));
    }
  });

  test("a client that is gone leaves no words to the next one with its packet identifiers", async () => {
    const reader = await server.connect(5, keptSession());
    await reader.subscribe([{ filter: "t", qos: 1 }]);
    const options = { ...keptSession(), clientId: "words" };
    const client = await server.connect(5, options);
    held.hold();
    client.send(
      client.wire.publish("t", "x", { qos: 1, id: 1 }),
      client.wire.publish("say/stale", "x", { qos: 1, id: 2 }),
    );
    await client.fence();
    client.destroy();
    held.release();
    const again = await server.connect(5, { ...options, clean: false });
    expect((await again.publish("deny", "x", { qos: 1, id: 2 }))?.properties.reasonString).toMatch(
      new RegExp(DEFAULT, "i"),
    );
  });
});
