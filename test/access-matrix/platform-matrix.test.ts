// The platform's door, cell by cell: every path by which a message enters or leaves, for devices, gateways and those gateways
// speak for, on their own topics, foreign ones, the system's and free ones. A test walks one path of one speaker over all topics.
import { describe, expect, test } from "vitest";
import { connectDevice, PK } from "../platform/signed-device.ts";
import type { RawClient } from "../support/raw-client.ts";
import { BOTH, eventually, useServer } from "../support/server.ts";
import type { Suback } from "../support/packet.ts";
import type { Filter, PublishOptions } from "../support/wire.ts";
import { FOREIGN, TOPICS, type Topic } from "./platform-cells.ts";
import { matrixRegistry, SPEAKERS, type Speaker, type SpeakerKind } from "./platform-speakers.ts";

const server = useServer({
  profile: "platform",
  devices: matrixRegistry(),
  platform: {
    rates: { enabled: false },
    dynreg: { requireTls: false },
    broadcast: { callsPerMinute: 0, topicCallsPerSecond: 0 },
  },
});
const DENIED = { 4: 0x80, 5: 0x87 } as const;
const KEPT = { clean: false, properties: { sessionExpiryInterval: 1_000 } };

/** What the server's side hears on a topic while `work` runs. */
async function copiesOf(topic: string, work: () => Promise<void>): Promise<number> {
  let copies = 0;
  const stop = await server.broker.subscribe(topic, () => void copies++);
  await work();
  await stop();
  return copies;
}

/** Each cell under its name, so that a failure shows which ones. */
type Cells = Record<string, unknown>;

async function cells(
  speaker: Speaker,
  topics: readonly Topic[],
  walk: (topic: string, cell: Topic) => Promise<unknown>,
): Promise<Cells> {
  const walked: Cells = {};
  for (const cell of topics)
    walked[cell.about] = await walk(cell.of(speaker.productKey, speaker.deviceName), cell);
  return walked;
}

const expected = (topics: readonly Topic[], of: (cell: Topic) => unknown): Cells =>
  Object.fromEntries(topics.map((cell) => [cell.about, of(cell)]));

/** Nothing comes of the packet, not even an acknowledgement [DYN-5]. */
async function ignored(client: RawClient, packet: Buffer): Promise<undefined> {
  client.send(packet);
  await client.expectNothing();
}

/** What its services say to the client while it publishes is no matter of this. */
const quiet = (client: RawClient): void => void client.pending();

describe.each(BOTH)("MQTT %s", (_name, version) => {
  describe.each(SPEAKERS)("$kind", ({ open, speaks, lasts, free, errand }: SpeakerKind) => {
    const isFree = (cell: Topic): boolean => free === true && cell.free === true;
    const forwarded = (cell: Topic): number => (speaks && (cell.publish === true || isFree(cell)) ? 1 : 0);
    const mayPublish = (cell: Topic): boolean => speaks && (cell.publish !== false || isFree(cell));
    const maySubscribe = (cell: Topic): boolean => speaks && (cell.subscribe || isFree(cell));

    const subscribed = (client: RawClient, filter: string | Filter): Promise<Suback | undefined> =>
      errand ? ignored(client, client.wire.subscribe(client.id(), filter)) : client.subscribe(filter);

    const entrances: [string, PublishOptions][] = [
      ["[PERM-1] PUBLISH of QoS 0", { qos: 0 }],
      ["[PERM-1] PUBLISH of QoS 1", { qos: 1 }],
      ["[PERM-1] retained PUBLISH", { qos: 1, retain: true }],
    ];
    test.each(entrances)("enters: %s", async (_path, options) => {
      const speaker = await open(server, version);
      const { client } = speaker;
      const reasons: Cells = {};
      const copies = await cells(speaker, TOPICS, async (topic, cell) => {
        const count = await copiesOf(topic, async () => {
          // The gateway's refusals are told on /ext/error besides.
          const sent = errand
            ? ignored(client, client.wire.publish(topic, "{}", { ...options, id: client.id() }))
            : client.publish(topic, "{}", options);
          reasons[cell.about] = (await sent)?.reason;
        });
        quiet(client);
        return count;
      });
      expect(copies).toEqual(expected(TOPICS, forwarded));
      if (options.qos === 1)
        expect(reasons).toEqual(
          expected(TOPICS, (cell) =>
            errand ? undefined : version === 5 && !mayPublish(cell) ? DENIED[5] : 0,
          ),
        );
    });

    test("enters: [UP-1] to the business side", async () => {
      const speaker = await open(server, version);
      const reader = server.broker.upstream();
      const seen = new Set<string>();
      const reading = (async () => {
        for await (const { kind, topic, payload } of reader) {
          if (String(payload) === "the end") return;
          if (kind === "data") seen.add(topic);
        }
      })();
      for (const cell of TOPICS)
        await speaker.client.publish(cell.of(speaker.productKey, speaker.deviceName), "{}");
      const witness = await connectDevice(server, version, FOREIGN);
      await witness.publish(`/${PK}/${FOREIGN}/user/update`, "the end");
      await reading;
      const up = await cells(speaker, TOPICS, async (topic) => Number(seen.has(topic)));
      // Thing messages go up under a name of their own, if they are any.
      for (const { about } of TOPICS.filter((cell) => cell.about !== "thing"))
        expect({ about, up: up[about] }).toEqual({ about, up: expected(TOPICS, forwarded)[about] });
    });

    test("leaves: [PERM-2] live, by a subscription", async () => {
      const speaker = await open(server, version);
      const granted: Cells = {};
      const got = await cells(speaker, TOPICS, async (topic, cell) => {
        granted[cell.about] = (await subscribed(speaker.client, topic))?.reasons[0];
        await server.broker.publish({ topic, payload: "x" });
        return (await speaker.client.fence()).filter((packet) => "text" in packet && packet.text === "x")
          .length;
      });
      const refusal = DENIED[version as 4 | 5];
      expect(granted).toEqual(
        expected(TOPICS, (cell) => (errand ? undefined : maySubscribe(cell) ? 0 : refusal)),
      );
      expect(got).toEqual(expected(TOPICS, (cell) => Number(maySubscribe(cell))));
    });

    test("leaves: [V5-5] retained, to 5.0 alone", async () => {
      const speaker = await open(server, version);
      const got = await cells(speaker, TOPICS, async (topic) => {
        await server.broker.publish({ topic, payload: "kept", retain: true });
        await subscribed(speaker.client, topic);
        const packets = await speaker.client.fence();
        await server.broker.publish({ topic, payload: "", retain: true });
        await speaker.client.fence();
        return packets.filter((packet) => "text" in packet && packet.text === "kept").length;
      });
      expect(got).toEqual(expected(TOPICS, (cell) => Number(version === 5 && maySubscribe(cell))));
    });

    test("leaves: [SESS-1] queued, to the next connection", async () => {
      const speaker = await open(server, version, KEPT);
      for (const cell of TOPICS)
        await subscribed(speaker.client, { filter: cell.of(speaker.productKey, speaker.deviceName), qos: 1 });
      await speaker.client.disconnect();
      for (const cell of TOPICS)
        await server.broker.publish({
          topic: cell.of(speaker.productKey, speaker.deviceName),
          payload: "x",
          qos: 1,
        });
      const again = await server.connect(version, speaker.sign(KEPT));
      const topics = (await again.fence()).flatMap((packet) =>
        packet.type === "publish" ? [packet.topic] : [],
      );
      const got = await cells(speaker, TOPICS, async (topic) => topics.filter((one) => one === topic).length);
      // What is a sub-device's does not leave over a gateway on which it is not logged in.
      expect(got).toEqual(expected(TOPICS, (cell) => Number(lasts && maySubscribe(cell))));
    });

    test.skipIf(errand)("enters and leaves: [CONN-1] behind a take-over", async () => {
      const speaker = await open(server, version, KEPT);
      const topics = TOPICS.map((cell) => cell.of(speaker.productKey, speaker.deviceName));
      for (const filter of topics) await speaker.client.subscribe([{ filter, qos: 1 }]);
      const second = await server.connect(version, speaker.sign(KEPT));
      await speaker.client.closed();
      await second.fence();
      const got = await cells(speaker, TOPICS, async (topic) => {
        await server.broker.publish({ topic, payload: "x", qos: 1 });
        return (await second.fence()).filter((packet) => "text" in packet && packet.text === "x").length;
      });
      expect(got).toEqual(expected(TOPICS, (cell) => Number(lasts && maySubscribe(cell))));
      for (const filter of topics) await second.unsubscribe(filter);
      const sent = await cells(speaker, TOPICS, (topic) =>
        copiesOf(topic, async () => void (await second.publish(topic, "{}", { qos: 1 }))),
      );
      expect(sent).toEqual(expected(TOPICS, (cell) => (lasts ? forwarded(cell) : 0)));
    });

    test.runIf(version === 5)("enters: [V5-6] a Will, asked at CONNECT", async () => {
      const speaker = await open(server, version);
      await speaker.client.disconnect();
      const got = await cells(speaker, TOPICS, async (topic) => {
        let reason = 0;
        const copies = await copiesOf(topic, async () => {
          const client = await server.open(version);
          const will = { topic, payload: "{}", qos: 1 as const };
          reason = (await client.connect(speaker.sign({ will }))).reason;
          if (reason === 0) client.send(client.wire.connect({ clientId: "a second CONNECT ends it" }));
          await client.closed();
        });
        return reason === 0 ? copies : "refused";
      });
      // At CONNECT a gateway speaks for nobody but itself.
      const wills = (cell: Topic): unknown =>
        errand ? 0 : lasts && mayPublish(cell) ? forwarded(cell) : "refused";
      expect(got).toEqual(expected(TOPICS, wills));
    });
  });

  test.runIf(version === 5)(
    "enters: [V5-6] [GW-4] the Will of a gateway on a topic of a sub-device that is logged in elsewhere by then",
    async () => {
      const loggedIn = SPEAKERS.find(({ kind }) => kind.endsWith("that is logged in"));
      const speaker = (await loggedIn?.open(server, version)) ?? expect.fail();
      const topic = `/${PK}/${speaker.deviceName}/user/both`;
      // Taken over while the sub-device is logged in: a Will on its topics may be accepted, it must not be sent.
      const client = await server.open(version);
      const will = { topic, payload: "{}", qos: 1 as const };
      const { reason } = await client.connect(speaker.sign({ will }));
      expect([0, DENIED[5]]).toContain(reason);
      const sub = await connectDevice(server, version, speaker.deviceName);
      await sub.subscribe(topic);
      const copies = await copiesOf(topic, async () => {
        if (reason === 0) client.send(client.wire.connect({ clientId: "a second CONNECT ends it" }));
        await client.closed();
      });
      expect(copies).toBe(0);
      await sub.expectNothing();
    },
  );

  describe("what the server pushes", () => {
    const [device] = SPEAKERS;
    const idOf = ({ productKey, deviceName }: Speaker) => ({ productKey, deviceName });
    interface Push {
      readonly path: string;
      readonly filter: (speaker: Speaker) => string;
      readonly send: (speaker: Speaker) => unknown;
      /** Needs no subscription of anybody. */
      readonly always?: boolean;
    }
    const pushes: Push[] = [
      {
        path: "[RRPC-7] a call",
        filter: ({ productKey, deviceName }) => `/sys/${productKey}/${deviceName}/rrpc/request/+`,
        send: (speaker) => void server.broker.rrpc(idOf(speaker), "x", { timeoutMs: 1_000 }),
      },
      {
        path: "[SHADOW-1] a shadow's wish",
        filter: ({ productKey, deviceName }) => `/shadow/get/${productKey}/${deviceName}`,
        send: (speaker) =>
          server.broker.shadows.update(idOf(speaker), {
            method: "update",
            state: { desired: { a: 1 } },
            version: Date.now() + ++clock,
          }),
      },
      {
        path: "[BCAST-1] a broadcast to all",
        filter: ({ productKey, deviceName }) => `/sys/${productKey}/${deviceName}/broadcast/request/+`,
        send: ({ productKey }) => server.broker.broadcast(productKey, "x"),
        always: true,
      },
      {
        path: "[BCAST-2] a broadcast to a topic",
        filter: ({ productKey }) => `/broadcast/${productKey}/news`,
        send: ({ productKey }) => server.broker.broadcast(productKey, "x", `/broadcast/${productKey}/news`),
      },
    ];
    let clock = 0;
    const received = async (client: RawClient): Promise<number> =>
      (await client.fence()).filter(({ type }) => type === "publish").length;

    test.each(pushes)(
      "$path: to who subscribed, once, and to nobody else",
      async ({ filter, send, always }) => {
        for (const kind of SPEAKERS.filter(({ speaks }) => speaks)) {
          const speaker = await kind.open(server, version);
          const bystander = await device.open(server, version);
          await send(speaker);
          if (always)
            await eventually(async () => (await received(speaker.client)) === 1, "it comes unsubscribed");
          else
            expect(await received(speaker.client), `${kind.kind}, not subscribed`).toBe(
              unasked(kind, filter(speaker)),
            );
          expect((await speaker.client.subscribe(filter(speaker))).reasons, kind.kind).toEqual([0]);
          quiet(bystander.client);
          await send(speaker);
          await eventually(async () => (await received(speaker.client)) === 1, `${kind.kind}, subscribed`);
          expect(await received(speaker.client)).toBe(0);
          if (!always) expect(await received(bystander.client), "a bystander").toBe(0);
        }
      },
    );

    test.each(pushes)(
      "$path: not over a client that does not speak for the device",
      async ({ filter, send }) => {
        for (const kind of SPEAKERS.filter(({ speaks }) => !speaks)) {
          const speaker = await kind.open(server, version);
          const subscribed = kind.errand
            ? ignored(speaker.client, speaker.client.wire.subscribe(1, filter(speaker)))
            : speaker.client.subscribe(filter(speaker));
          expect((await subscribed)?.reasons, kind.kind).toEqual(
            kind.errand ? undefined : [DENIED[version as 4 | 5]],
          );
          await Promise.resolve(send(speaker)).catch(() => undefined);
          expect(await received(speaker.client), kind.kind).toBe(0);
        }
      },
    );
  });
});

/** What is sent to one that has declared that it subscribes nothing comes to it, for itself and its sub-devices [SUB-5]. */
function unasked({ declared }: SpeakerKind, filter: string): number {
  return declared && !filter.startsWith("/broadcast") ? 1 : 0;
}
