// A right that is withdrawn ends what hangs on it: live deliveries of clients that are online, and the subscriptions of
// those that are away when they come again. Others notice nothing.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { ConnectRequest, Identity, Policy } from "../../../src/access/policy.ts";
import { openPolicy } from "../../support/policy.ts";
import {
  BOTH,
  eventually,
  type ServerOptions,
  TestServer,
  unique,
  keptSession,
} from "../../support/server.ts";
import type { Version } from "../../support/wire.ts";
import { secondsPass, useManualClock } from "../../support/time.ts";

useManualClock();

let server: TestServer;
/** First levels nobody may subscribe. */
let withdrawn: Set<string>;
let generation: number;
let asked: string[];
/** How long the policy thinks about a filter; undefined: not at all. */
let think: ((filter: string) => Promise<void>) | undefined;

const mayHave = (filter: string): boolean => !withdrawn.has(filter.split("/")[0]);

const policy: Policy = openPolicy({
  override: {
    authorizeSubscribe: (_identity, { filter, qos }) => {
      asked.push(filter);
      const answer = (): number => (mayHave(filter) ? qos : 0x87);
      if (think === undefined) return answer();
      const now = answer();
      return think(filter).then(() => now);
    },
    authorizeDelivery: (_identity, topic) => mayHave(topic),
  },
});

// A getter of its own: a spread would read it once.
Object.defineProperty(policy, "generation", { get: () => generation });

async function start(options: ServerOptions = {}): Promise<void> {
  server = new TestServer({ profile: policy, sysInterval: 0, ...options });
  await server.start();
}
beforeEach(() => {
  withdrawn = new Set();
  generation = 1;
  asked = [];
  think = undefined;
});
afterEach(() => server.stop());

function withdraw(...levels: string[]): void {
  withdrawn = new Set(levels);
  generation++;
  asked = [];
}

const kept = (_version: Version) => keptSession();

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("deliveries to a client that is online stop, those it may have go on", async () => {
    await start();
    const ended: string[] = [];
    server.broker.on("client.unsubscribed", ({ clientId, filter }) => ended.push(`${clientId} ${filter}`));
    const client = await server.connect(version, kept(version));
    const other = await server.connect(version);
    await client.subscribe([
      { filter: "a/#", qos: 1 },
      { filter: "b/+", qos: 1 },
      ...(version === 5 ? [{ filter: "$share/g/a/x", qos: 1 as const }] : []),
    ]);
    await other.subscribe("b/#");
    withdraw("a");
    const count = version === 5 ? 2 : 1;
    await secondsPass();
    await eventually(() => ended.length === count, "subscriptions end");
    expect(ended.every((line) => line.includes("a/"))).toBe(true);
    for (const topic of ["a/x", "b/x"])
      other.send(other.wire.publish(topic, topic, { qos: 1, id: other.id() }));
    expect(await client.receive()).toMatchObject({ text: "b/x" });
    await client.expectNothing();
    expect(await other.of("publish")).toMatchObject({ text: "b/x" });
    // Given back, a right brings no subscription back.
    withdraw();
    await secondsPass();
    await eventually(() => asked.length === 2, "both are asked about again");
    await other.fence();
    other.send(other.wire.publish("a/x", "late"));
    await other.fence();
    await client.expectNothing();
    const granted = await client.subscribe([{ filter: "a/#", qos: 1 }]);
    expect(granted.reasons).toEqual([1]);
    other.send(other.wire.publish("a/x", "again"));
    expect(await client.receive()).toMatchObject({ text: "again" });
  });

  test("who is away loses it when he comes again", async () => {
    await start();
    const options = kept(version);
    const first = await server.connect(version, options);
    await first.subscribe([
      { filter: "a/#", qos: 1 },
      { filter: "b/#", qos: 1 },
    ]);
    first.send(first.wire.disconnect());
    await first.closed();
    const other = await server.connect(version);
    other.send(other.wire.publish("a/1", "before", { qos: 1, id: 1 }));
    await other.next("puback");
    withdraw("a");
    const again = await server.connect(version, options);
    expect(asked.sort()).toEqual(["a/#", "b/#"]);
    other.send(
      other.wire.publish("a/2", "after", { qos: 1, id: 2 }),
      other.wire.publish("b/2", "b", { qos: 1, id: 3 }),
    );
    expect(await again.receive()).toMatchObject({ text: "b" });
    await again.expectNothing();
    expect(server.broker.metrics()["subscriptions.count"]).toBe(1);
  });

  test("while a policy thinks, nothing is lost; its no ends the subscription", async () => {
    await start();
    const client = await server.connect(version);
    await client.subscribe("a/#");
    await client.subscribe("b/#");
    const answers = new Map<string, () => void>();
    think = (filter) => new Promise((resolve) => answers.set(filter, resolve));
    withdraw("a");
    await secondsPass();
    await eventually(() => answers.size === 2, "questions");
    const other = await server.connect(version);
    other.send(other.wire.publish("b/1", "meanwhile"));
    expect(await client.receive()).toMatchObject({ text: "meanwhile" });
    for (const answer of answers.values()) answer();
    await eventually(() => server.broker.metrics()["subscriptions.count"] === 1, "one ends");
    other.send(other.wire.publish("a/1", "no"), other.wire.publish("b/1", "yes"));
    expect(await client.receive()).toMatchObject({ text: "yes" });
  });

  test("a SUBSCRIBE granted by rights that are gone when it is entered", async () => {
    await start();
    const client = await server.connect(version);
    let answer: (() => void) | undefined;
    think = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    client.send(client.wire.subscribe(7, "a/#"));
    await eventually(() => answer !== undefined, "the question");
    think = undefined;
    withdraw("a");
    answer?.();
    await client.of("suback");
    await secondsPass();
    await eventually(() => server.broker.metrics()["subscriptions.count"] === 0, "it ends again");
  });

  test("an access list that is read again", async () => {
    const directory = await mkdtemp(join(tmpdir(), "acl-"));
    const aclFile = join(directory, "acl");
    await writeFile(aclFile, "topic readwrite a/#\ntopic readwrite b/#\n");
    await start({ profile: "standard", aclFile });
    const client = await server.connect(version);
    await client.subscribe("a/#");
    await client.subscribe("b/#");
    await writeFile(aclFile, "topic write a/#\ntopic readwrite b/#\n");
    await server.broker.reload({ aclFile });
    await secondsPass();
    await eventually(() => server.broker.metrics()["subscriptions.count"] === 1, "one ends");
    client.send(client.wire.publish("a/1", "a"), client.wire.publish("b/1", "b"));
    expect(await client.receive()).toMatchObject({ text: "b" });
    await client.expectNothing();
    await rm(directory, { recursive: true });
  });
});

test("a hook that is added is asked about what clients have already", async () => {
  await start({ profile: "standard" });
  const client = await server.connect(5);
  await client.subscribe("a/#");
  await client.subscribe("b/#");
  server.broker.use({ authorizeSubscribe: ({ request }) => !request.filter.startsWith("a") });
  await secondsPass();
  await eventually(() => server.broker.metrics()["subscriptions.count"] === 1, "one ends");
  client.send(client.wire.publish("a/1", "a"), client.wire.publish("b/1", "b"));
  expect(await client.receive()).toMatchObject({ text: "b" });
});

test("a long review gives others their turn", async () => {
  await start();
  const client = await server.connect(5);
  const filters = Array.from({ length: 900 }, (_, i) => ({ filter: `f/${i}`, qos: 0 as const }));
  await client.subscribe(filters);
  const other = await server.connect(5);
  let slow = 0;
  const { authorizeSubscribe } = policy;
  const spinning = Object.assign(policy, {
    authorizeSubscribe: (...question: Parameters<Policy["authorizeSubscribe"]>) => {
      const until = performance.now() + 0.2;
      while (performance.now() < until);
      slow++;
      return authorizeSubscribe.call(policy, ...question);
    },
  });
  try {
    withdraw();
    await secondsPass();
    await eventually(() => slow > 0, "the review begins");
    await other.fence();
    const seen = slow;
    expect(seen).toBeLessThan(filters.length);
    await eventually(() => slow === filters.length, "the review ends");
  } finally {
    spinning.authorizeSubscribe = authorizeSubscribe;
  }
});

test("a generation that changes nothing for a client costs it no question", async () => {
  const versions = new Map<string, number>();
  const scoped: Policy = Object.create(policy, {
    grantsVersion: { value: ({ clientId }: Identity) => versions.get(clientId) ?? 1 },
  });
  await start({ profile: scoped });
  const [same, changed] = [unique("same"), unique("changed")];
  for (const clientId of [same, changed]) {
    const client = await server.connect(5, { clientId });
    await client.subscribe(`${clientId}/#`);
  }
  asked = [];
  versions.set(changed, 2);
  // Reviewed in the order of their slots: the second one proves that the first has been passed over.
  server.broker.use({});
  await secondsPass();
  await eventually(() => asked.includes(`${changed}/#`), "the review");
  expect(asked).toContain(`${same}/#`); // a hook may forbid anything
  asked = [];
  versions.set(changed, 3);
  generation++;
  await secondsPass();
  await eventually(() => asked.length > 0, "the review");
  expect(asked).toEqual([`${changed}/#`]);
});

test("a CONNECT that may publish everything, by rights that are gone when it is accepted", async () => {
  let accept: (() => void) | undefined;
  const slow: Policy = Object.create(policy, {
    connect: {
      value: (request: ConnectRequest) => {
        const identity = { clientId: request.clientId, username: undefined, sessionKey: request.clientId };
        return new Promise((resolve) => {
          accept = () => resolve({ ok: true, identity, allowAllPublish: true });
        });
      },
    },
    authorizePublish: { value: () => ({ allow: generation === 1 }) },
  });
  await start({ profile: slow });
  const client = await server.open(5);
  client.send(client.wire.connect({ clientId: unique("slow") }));
  await eventually(() => accept !== undefined, "the question");
  withdraw();
  accept?.();
  await client.next("connack");
  client.send(client.wire.publish("a", "", { qos: 1, id: 1 }));
  expect(await client.next("puback")).toMatchObject({ reason: 0x87 });
});
