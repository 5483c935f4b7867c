// The position of a message in its session's queue is never given to another where the store may know the first one: a message
// that was refused because its commit failed has left its delivery there, or a cursor that calls the position done. The next
// one, acknowledged, would be missing behind a crash, or the refused one would come in its place.
import { describe, expect, test } from "vitest";
import { type DurableLevel, openStore } from "../../../src/store/open-store.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { BOTH, eventually, keptSession, TestServer } from "../../support/server.ts";
import { temporaryDirectory } from "../directories.ts";
import { type Fault, FaultStore } from "../fault-store.ts";

const QUEUED_BYTES = 1_000;
/** Finds no room, whatever waits. */
const BIG = "x".repeat(2 * QUEUED_BYTES);

/** A broker on a store that a test makes fail. */
class Broker {
  readonly server: TestServer;
  /** What happens to the next commits, one each. */
  readonly faults: Fault[] = [];
  readonly #store: FaultStore;
  #crashed = false;

  private constructor(inner: Awaited<ReturnType<typeof openStore>>) {
    const plan = (): Fault | undefined => (this.#crashed ? { kind: "refuse" } : this.faults.shift());
    this.#store = new FaultStore(inner, plan);
    this.server = new TestServer({
      sysInterval: 0,
      store: this.#store,
      limits: { queuedBytes: QUEUED_BYTES },
    });
  }

  static async start(directory: string, level: DurableLevel): Promise<Broker> {
    const broker = new Broker(await openStore({ directory, level }));
    await broker.server.start();
    return broker;
  }

  metric(name: string): number {
    return this.server.broker.metrics()[name];
  }

  /** Nothing of what the broker does from here on reaches the store: all that a next one finds was there before. */
  async crash(): Promise<void> {
    this.#crashed = true;
    await this.server.stop();
    await this.#store.close();
  }
}

/** All that comes, until the last of them has. */
async function textsUntil(client: RawClient, last: string): Promise<string[]> {
  const texts: string[] = [];
  while (texts.at(-1) !== last) texts.push((await client.receive()).text);
  await client.expectNothing();
  return texts;
}

describe.each([
  ["never reached the store", "refuse"],
  ["is in the store all the same", "refuse-after"],
] as const)("a refused message that %s", (_fault, kind) => {
  describe.each(["power", "process"] as const)("level %s", (level) => {
    test.each(BOTH)(
      "MQTT %s: what is acknowledged behind it is there behind a crash",
      async (_name, version) => {
        const directory = temporaryDirectory();
        const first = await Broker.start(directory, level);
        // Without an end: no commit says that its client has gone.
        const options = { ...keptSession("kept"), properties: { sessionExpiryInterval: 0xffffffff } };
        const receiver = await first.server.connect(version, options);
        await receiver.subscribe([{ filter: "t", qos: 2 }]);
        const publisher = await first.server.connect(version);

        // It has a packet identifier, and would be sent behind its commit; which fails when the receiver has gone.
        let fail: () => void = () => {};
        const behind = new Promise<void>((resolve) => {
          fail = resolve;
        });
        first.faults.push({ kind, behind });
        publisher.send(publisher.wire.publish("t", "refused", { qos: 2, id: 1 }));
        await eventually(() => first.faults.length === 0, "its commit is under way");
        receiver.destroy();
        await eventually(() => first.metric("clients.connected") === 1, "the receiver is gone");
        fail();
        if (version === 5) expect(await publisher.next("pubrec")).toMatchObject({ id: 1, reason: 0x80 });
        await eventually(() => first.metric("errors.commit") === 1, "it is refused");
        await publisher.expectNothing();

        // A commit that takes along that the position is done with.
        await publisher.publish("elsewhere", "x", { qos: 1, id: 9, retain: true });
        // Finds no room, and its position is given back: no other one with it.
        await publisher.publish("t", BIG, { qos: 1, id: 2 });
        expect(first.metric("dropped.queue")).toBe(1);
        for (const [i, qos] of ([1, 2, 1, 2] as const).entries())
          expect(await publisher.publish("t", `${i}`, { qos, id: 3 + i })).toMatchObject({ reason: 0 });
        await first.crash();

        const second = await Broker.start(directory, level);
        const again = await second.server.connect(version, options);
        expect(again.connack.sessionPresent).toBe(true);
        // Whether the refused one is there as well nobody was told: in its own place, where it is.
        const texts = await textsUntil(again, "3");
        expect(texts[0] === "refused" ? texts.slice(1) : texts).toEqual(["0", "1", "2", "3"]);
        await second.crash();
      },
    );
  });
});
