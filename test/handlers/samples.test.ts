// Samples of messages as a policy gets them: some of what was accepted and of what was refused, and how many it did not get.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openPolicy } from "../support/policy.ts";
import { BOTH, eventually, TestServer, unique } from "../support/server.ts";

let server: TestServer;
let seen: string[];
let skipped: Map<string, number>;
let answers: string[];

const policy = openPolicy({
  accept: { samples: { perSecond: 3, ofAll: 1_000 } },
  override: {
    authorizePublish: (_identity, topic) => ({ allow: !topic.startsWith("deny"), sample: topic !== "quiet" }),
    authorizeSubscribe: (_identity, { filter, qos }) => (filter === "no" ? 0x87 : qos),
    tapped: (_identity, { topic, payload }, refusal) => {
      seen.push(`${topic} ${Buffer.from(payload).toString()} ${refusal}`);
    },
    skipped: ({ clientId }, count) => {
      skipped.set(clientId, (skipped.get(clientId) ?? 0) + count);
    },
    subscribed: (_identity, filter, code) => {
      answers.push(`+${filter} ${code}`);
    },
    unsubscribed: (_identity, filter, code) => {
      answers.push(`-${filter} ${code}`);
    },
  },
});

beforeEach(async () => {
  seen = [];
  skipped = new Map();
  answers = [];
  server = new TestServer({ profile: policy, sysInterval: 0 });
  await server.start();
});
afterEach(() => server.stop());

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("some are copied, the others counted, everybody gets all of them", async () => {
    const watcher = await server.connect(version);
    await watcher.subscribe([{ filter: "#", qos: 1 }]);
    const clientId = unique("sampled");
    const client = await server.connect(version, { clientId });
    const { wire } = client;
    client.send(
      ...Array.from({ length: 20 }, (_, i) => wire.publish("t", `${i}`)),
      wire.publish("quiet", "q"),
    );
    await client.fence();
    expect((await watcher.fence()).filter((packet) => packet.type === "publish").length).toBe(21);
    await eventually(() => skipped.has(clientId), "what was skipped", 5_000);
    // A second may have begun meanwhile: all are accounted for.
    expect(seen.slice(0, 3)).toEqual(["t 0 0", "t 1 0", "t 2 0"]);
    expect(seen.length + (skipped.get(clientId) ?? 0)).toBe(20);
  });

  test("what was refused is copied with its reason; what is skipped is told when the client goes", async () => {
    const clientId = unique("refused");
    const client = await server.connect(version, { clientId });
    const { wire } = client;
    client.send(...Array.from({ length: 5 }, (_, i) => wire.publish("deny", `${i}`, { qos: 1, id: i + 1 })));
    for (let i = 0; i < 5; i++) await client.next("puback");
    expect(seen).toEqual(["deny 0 135", "deny 1 135", "deny 2 135"]);
    client.destroy();
    await eventually(() => skipped.get(clientId) === 2, "what was skipped", 900);
  });

  test("a large message that is refused is copied whole", async () => {
    const client = await server.connect(version);
    await client.publish("deny/large", Buffer.alloc(300_000, "x"), { qos: 1 });
    expect(seen.map((text) => text.length)).toEqual(["deny/large  135".length + 300_000]);
  });

  test("answers of SUBSCRIBE and UNSUBSCRIBE are told as they were given", async () => {
    const client = await server.connect(version);
    await client.subscribe([
      { filter: "a/#", qos: 1 },
      { filter: "no", qos: 1 },
    ]);
    await client.unsubscribe(["a/#", "b"]);
    expect(answers).toEqual(["+a/# 1", "+no 135", "-a/# 0", "-b 17"]);
  });
});
