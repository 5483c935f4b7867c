// A QoS 2 message of a kept session that goes to its receivers in several slices, and a crash between two of them: whoever has
// it must not get it again, and whoever has not must get it. Every commit's state is a crash of its own.
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openStore } from "../../../src/store/open-store.ts";
import type { Store, StoreBatch } from "../../../src/store/contract/store.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { eventually, keptSession, TestServer } from "../../support/server.ts";

/** A slice of messages this large has 64 receivers. */
const PAYLOAD = "x".repeat(131_000);
/** Four slices, and one member of a shared group. */
const RECEIVERS = 200;
const LEVEL = "process";

let root: string;
let snapshots: string[];
let server: TestServer;

const storeOf = (name: string): string => path.join(root, name);

/** Keeps a copy of the files behind each commit, from when it is told to. */
class CopyingStore implements Store {
  readonly name = "copying";
  copying = false;
  readonly #inner: Store;
  readonly #directory: string;

  constructor(inner: Store, directory: string) {
    this.#inner = inner;
    this.#directory = directory;
  }

  load(...given: Parameters<Store["load"]>): Promise<void> {
    return this.#inner.load(...given);
  }
  begin(): StoreBatch {
    return this.#inner.begin();
  }
  async commit(batch: StoreBatch): Promise<void> {
    await this.#inner.commit(batch);
    if (!this.copying) return;
    const copy = storeOf(`copy-${snapshots.length}`);
    cpSync(this.#directory, copy, { recursive: true });
    snapshots.push(copy);
  }
  close(): Promise<void> {
    return this.#inner.close();
  }
}

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), "millrace-slices-"));
  snapshots = [];
});

afterEach(async () => {
  await server.stop();
  rmSync(root, { recursive: true, force: true });
});

async function start(store: Store): Promise<void> {
  server = new TestServer(() => ({ sysInterval: 0, store }));
  await server.start();
}

const receiver = (number: number) => ({ ...keptSession(), clientId: `r${number}` });

/** Messages a client has got, each once however often it came under one packet id, to the end of each exchange. */
async function messagesOf(client: RawClient, sentinel: string): Promise<string[]> {
  const texts: string[] = [];
  for (;;) {
    const { text } = await client.receive();
    if (text === sentinel) return texts;
    texts.push(text);
  }
}

describe.each([4, 5] as const)("protocol level %i", (level) => {
  test("a crash behind any commit of a large fan-out: each receiver gets the message once", async () => {
    const directory = storeOf("store");
    const store = new CopyingStore(await openStore({ directory, level: LEVEL }), directory);
    await start(store);
    for (let i = 0; i < RECEIVERS; i++) {
      const client = await server.connect(level, receiver(i));
      await client.subscribe([{ filter: i < 2 ? "$share/g/many" : "many", qos: 2 }]);
      await client.disconnect();
    }
    await eventually(() => server.broker.metrics()["clients.connected"] === 0, "all are gone");
    // One member of the group has had its turn: what begins anew would choose the other one.
    await server.broker.publish({ topic: "many", payload: "first", qos: 2 });
    const publisher = await server.connect(level, { ...keptSession(), clientId: "publisher" });
    store.copying = true;
    publisher.send(publisher.wire.publish("many", PAYLOAD, { qos: 2, id: 1 }));
    await publisher.of("pubrec", 1);
    const recorded = snapshots.length;
    publisher.send(publisher.wire.pubrel(1));
    await publisher.of("pubcomp", 1);
    const completed = snapshots.length;
    await eventually(() => snapshots.length >= completed, "the rest is written");
    store.copying = false;
    await server.stop();
    // PUBCOMP waits for the last slice: in front of it there are states with some of them.
    expect(completed - recorded).toBeGreaterThanOrEqual(2);

    for (let at = Math.max(0, recorded - 1); at < snapshots.length; at++) {
      await start(await openStore({ directory: snapshots[at], level: LEVEL }));
      const got = new Map<number, number>();
      await server.broker.publish({ topic: "many", payload: "end", qos: 2 });
      let shared = 0;
      for (let i = 0; i < RECEIVERS; i++) {
        const client = await server.connect(level, receiver(i));
        if (i < 2) {
          await client.subscribe([{ filter: "ends", qos: 1 }]);
          await server.broker.publish({ topic: "ends", payload: `end ${i}`, qos: 1 });
          shared += (await messagesOf(client, `end ${i}`)).filter((text) => text === PAYLOAD).length;
        } else {
          const texts = await messagesOf(client, "end");
          if (texts.length !== 2 || texts[0] !== "first" || texts[1] !== PAYLOAD) got.set(i, texts.length);
        }
        client.destroy();
      }
      expect({ at, wrong: [...got], shared }).toEqual({ at, wrong: [], shared: 1 });
      // The id is free where PUBCOMP has left, or the next message under it would be taken for this one.
      const again = await server.connect(level, { ...keptSession(), clientId: "publisher" });
      if (at >= completed) {
        const one = await server.connect(level, receiver(RECEIVERS - 1));
        again.send(again.wire.publish("many", "next", { qos: 2, id: 1 }));
        expect((await one.receive()).text).toBe("next");
      }
      await server.stop();
    }
  }, 60_000);
});
