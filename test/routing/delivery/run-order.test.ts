// What happens between two packets of one run (a pump, a publish by a hook) must not disturb where the run goes on, nor
// which topic a permission is remembered for.
import { expect, test } from "vitest";
import { openPolicy } from "../../support/policy.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { TestServer, unique } from "../../support/server.ts";
import type { Version } from "../../support/wire.ts";

/** A subscriber with one message in flight and two behind it: its PUBACK makes the broker pump. */
async function waiting(server: TestServer, topic: string, aliases = 0): Promise<[RawClient, number]> {
  const client = await server.connect(5, {
    properties: { receiveMaximum: 1, ...(aliases > 0 ? { topicAliasMaximum: aliases } : {}) },
  });
  await client.subscribe([{ filter: topic, qos: 1 }]);
  for (const payload of ["0", "1", "2"]) await server.broker.publish({ topic, payload, qos: 1 });
  return [client, (await client.next("publish")).id];
}

async function withServer(
  use: (server: TestServer) => Promise<void>,
  options: ConstructorParameters<typeof TestServer>[0] = {},
): Promise<void> {
  const server = new TestServer({ sysInterval: 0, ...options });
  await server.start();
  try {
    await use(server);
  } finally {
    await server.stop();
  }
}

test("a control packet behind a PUBACK that opens the window is read where it stands", () =>
  withServer(async (server) => {
    const [client, id] = await waiting(server, unique());
    const { wire } = client;
    client.send(wire.puback(id), wire.subscribe(9, "b"), wire.publish("b", "x"), wire.pingreq());
    expect(await client.next("publish")).toMatchObject({ text: "1" });
    expect(await client.next("suback")).toMatchObject({ id: 9, reasons: [0] });
    expect(await client.next("publish")).toMatchObject({ topic: "b", text: "x" });
    await client.next("pingresp");
  }));

test("an incomplete packet behind a PUBACK that opens the window is kept whole", () =>
  withServer(async (server) => {
    const topic = unique();
    const [client, id] = await waiting(server, topic);
    const publish = client.wire.publish("c", "late", { qos: 1, id: 77 });
    for (let cut = 1; cut < publish.length; cut++) {
      client.send(client.wire.puback(cut === 1 ? id : 0xfffe), publish.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      client.send(publish.subarray(cut));
      expect(await client.of("puback", 77)).toMatchObject({ id: 77 });
    }
  }));

test("a verdict is remembered for its own topic, not for one that was pumped in between", () =>
  withServer(
    async (server) => {
      const [client, id] = await waiting(server, "secret/topic", 10);
      const { wire } = client;
      client.send(wire.puback(id), wire.publish("mine", "x", { qos: 1, id: 1 }));
      expect(await client.of("puback", 1)).toMatchObject({ reason: 0x10 });
      client.send(wire.publish("secret/topic", "x", { qos: 1, id: 2 }));
      expect(await client.of("puback", 2)).toMatchObject({ reason: 0x87 });
    },
    {
      profile: openPolicy({
        override: {
          authorizePublish: (_identity, topic) => ({ allow: topic === "mine" }),
        },
      }),
    },
  ));

test("a hook that publishes while it is asked does not change what its answer is about", () =>
  withServer(async (server) => {
    const { broker } = server;
    const seen: string[] = [];
    await broker.subscribe("#", (message) => seen.push(message.topic));
    let nested = false;
    broker.use({
      authorizePublish: ({ topic }) => {
        if (topic === "asked" && !nested) {
          nested = true;
          broker.publish({ topic: "denied", payload: "by the hook" });
        }
        return { allow: topic !== "denied", cacheable: true };
      },
    });
    const client = await server.connect(5);
    const { wire } = client;
    client.send(wire.publish("asked", "x", { qos: 1, id: 1 }));
    expect((await client.of("puback", 1)).reason).toBeLessThan(0x80);
    client.send(
      wire.publish("denied", "x", { qos: 1, id: 2 }),
      wire.publish("asked", "y", { qos: 1, id: 3 }),
    );
    expect(await client.of("puback", 2)).toMatchObject({ reason: 0x87 });
    expect((await client.of("puback", 3)).reason).toBeLessThan(0x80);
    await client.fence();
    expect(seen.filter((topic) => topic === "denied")).toHaveLength(1);
  }));

const versions: Version[] = [3, 4, 5];
test.each(versions)("level %i: everything a run can hold, in one chunk and in any two", (version) =>
  withServer(async (server) => {
    const watcher = await server.connect(version);
    await watcher.subscribe([{ filter: "run/#", qos: 2 }]);
    const client = await server.connect(version);
    const { wire } = client;
    const bytes = Buffer.concat([
      wire.publish("run/0", "0"),
      wire.publish("run/1", "1", { qos: 1, id: 1 }),
      wire.publish("run/2", "2", { qos: 2, id: 2 }),
      wire.pubrel(2),
      wire.pingreq(),
      wire.puback(500),
      wire.publish("run/3", "3"),
    ]);
    for (let cut = 0; cut < bytes.length; cut++) {
      client.send(bytes.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      client.send(bytes.subarray(cut));
      const types = ["puback", "pubrec", "pubcomp", "pingresp"] as const;
      for (const type of types) await client.next(type);
      const texts: string[] = [];
      for (let i = 0; i < 4; i++) texts.push((await watcher.receive()).text);
      expect(texts, `cut at ${cut}`).toEqual(["0", "1", "2", "3"]);
    }
  }),
);
