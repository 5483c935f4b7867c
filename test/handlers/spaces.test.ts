// Spaces of a policy of one's own, which the platform's rules do not exhaust: QoS 2 of sessions that are kept, across a restart,
// and what the server itself keeps on a name that each space has for itself.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Policy } from "../../src/access/policy.ts";
import { openStore } from "../../src/store/open-store.ts";
import { useHeldServer } from "../store/held-store.ts";
import { openPolicy } from "../support/policy.ts";
import type { RawClient } from "../support/raw-client.ts";
import { BOTH, TestServer } from "../support/server.ts";
import type { Version } from "../support/wire.ts";
import { trapNext } from "./trap.ts";

/** The space of a client stands in front of its identifier: "a/one" is in "a". Names under common/ are nobody's own. */
const covers = (topic: string): boolean => !topic.startsWith("common/");
const policy: Policy = openPolicy({
  override: {
    spaces: { of: (sessionKey) => sessionKey.slice(0, sessionKey.indexOf("/")), covers },
    authorizePublish: (_identity, topic) => ({ allow: true, isolated: covers(topic) }),
  },
});
const KEPT = { clean: false, properties: { sessionExpiryInterval: 1_000 } };
const logger = { debug() {}, info() {}, warn() {}, error() {} };
const { held, server } = useHeldServer({ profile: policy, logger });
afterEach(() => void vi.restoreAllMocks());

const connect = (version: Version, clientId: string, at: TestServer = server): Promise<RawClient> =>
  at.connect(version, { clientId, ...KEPT });

async function texts(client: RawClient): Promise<string[]> {
  return (await client.fence()).flatMap((packet) => (packet.type === "publish" ? [packet.text] : []));
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("a QoS 2 message of a session that is kept stays in its space", async () => {
    const [one, two, other] = [
      await connect(version, "a/one"),
      await connect(version, "a/two"),
      await connect(version, "b/one"),
    ];
    for (const client of [two, other]) await client.subscribe(["t", "common/t"]);
    await one.publish("t", "ours", { qos: 2 });
    await one.publish("t", Buffer.alloc(200_000, "x"), { qos: 2 });
    await one.publish("common/t", "everybody's", { qos: 2 });
    expect((await texts(two)).map((text) => text.slice(0, 20))).toEqual([
      "ours",
      "x".repeat(20),
      "everybody's",
    ]);
    expect(await texts(other)).toEqual(["everybody's"]);
  });

  test("so does one whose commit comes behind a trap of the core", async () => {
    const [one, two, other] = [
      await connect(version, "a/one"),
      await connect(version, "a/two"),
      await connect(version, "b/one"),
    ];
    for (const client of [two, other]) await client.subscribe(["t", "fence"]);
    const offender = await server.connect(version);
    held.hold();
    one.send(one.wire.publish("t", "ours", { qos: 2, id: 1 }));
    const commit = await held.commits(1);
    trapNext("route");
    offender.send(offender.wire.pingreq());
    await offender.closed();
    commit.succeed();
    held.release();
    await one.of("pubrec");
    expect((await two.receive()).text).toBe("ours");
    await server.broker.publish({ topic: "fence", payload: "fence" });
    expect(await texts(other)).toEqual(["fence"]);
  });

  test("so does one that the broker finds in its store when it starts again", async () => {
    const directory = mkdtempSync(join(tmpdir(), "spaces-"));
    let store = await openStore({ directory, level: "process" });
    const again = new TestServer(() => ({ profile: policy, logger, store, sysInterval: 0 }));
    try {
      await again.start();
      for (const clientId of ["b/one", "a/two"]) {
        const client = await connect(version, clientId, again);
        await client.subscribe([{ filter: "t", qos: 1 }]);
        await client.disconnect();
      }
      const one = await connect(version, "a/one", again);
      // As if the process had ended between the commit and the delivery.
      const { Injections } = await import("../../src/routing/delivery/injections.ts");
      const lost = vi.spyOn(Injections.prototype, "add").mockImplementation(() => {});
      one.send(one.wire.publish("t", "ours", { qos: 2, id: 1 }));
      await one.of("pubrec");
      expect(lost).toHaveBeenCalled();
      lost.mockRestore();
      await again.stop();
      store = await openStore({ directory, level: "process" });
      await again.start();
      expect((await (await connect(version, "a/two", again)).receive()).text).toBe("ours");
      await (await connect(version, "b/one", again)).expectNothing();
    } finally {
      await again.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  });

  test("what the server keeps on a name of theirs is kept for each of them, until one has something newer", async () => {
    const publish = (topic: string, payload: string): Promise<void> =>
      server.broker.publish({ topic, payload, qos: 1, retain: true });
    let count = 0;
    const keptFor = async (space: string, filter = "kept/#"): Promise<string[]> => {
      const client = await server.connect(version, { clientId: `${space}/reader${++count}` });
      await client.subscribe(filter);
      const found = (await texts(client)).sort();
      client.destroy();
      return found;
    };
    const [one, other] = [await connect(version, "a/one"), await connect(version, "b/one")];
    await one.publish("kept/x", "a's first", { qos: 1, retain: true });
    // Newer than what was there.
    await publish("kept/x", "the server's");
    await publish("kept/y", "the server's too");
    for (const space of ["a", "b"]) {
      expect(await keptFor(space)).toEqual(["the server's", "the server's too"]);
      expect(await keptFor(space, "+/x")).toEqual(["the server's"]);
    }
    await one.publish("kept/x", "a's", { qos: 1, retain: true });
    expect(await keptFor("a")).toEqual(["a's", "the server's too"]);
    expect(await keptFor("b")).toEqual(["the server's", "the server's too"]);
    // Cleared by one space, for that one.
    await other.publish("kept/y", "", { qos: 1, retain: true });
    expect(await keptFor("b")).toEqual(["the server's"]);
    expect(await keptFor("a")).toEqual(["a's", "the server's too"]);
    // Cleared by the server, for all.
    await publish("kept/x", "");
    expect(await keptFor("a")).toEqual(["the server's too"]);
    expect(await keptFor("b")).toEqual([]);
    await publish("kept/y", "again");
    expect(await keptFor("b")).toEqual(["again"]);
    await publish("kept/y", "");
    for (const space of ["a", "b"]) expect(await keptFor(space)).toEqual([]);
    expect(server.broker.metrics()["retained.count"]).toBe(0);
  });

  test("the server's retained message replaces those of spaces only where its commit succeeds", async () => {
    const one = await connect(version, "a/one");
    await one.publish("kept/z", "a's", { qos: 1, retain: true });
    held.hold();
    const publishing = server.broker.publish({ topic: "kept/z", payload: "never", qos: 1, retain: true });
    const failed = expect(publishing).rejects.toThrow();
    (await held.commits(1)).fail();
    held.release();
    await failed;
    await one.subscribe("kept/z");
    expect(await texts(one)).toEqual(["a's"]);
  });
});
