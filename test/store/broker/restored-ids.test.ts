// Numbers that a restart must not give twice: packet identifiers that restored messages hold already, store numbers of
// sessions whose messages still lie about, and identifiers that are given but not safe. Found by killing the broker.
import { afterEach, describe, expect, test } from "vitest";
import { NO_OFFSET } from "../../../src/core/generated/abi.ts";
import { C_LATE } from "../../../src/session/queue.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import type { SessionRecord, StoreBatch, StoreVisitor } from "../../../src/store/contract/store.ts";
import { BOTH, eventually, keptSession, TestServer } from "../../support/server.ts";
import { message } from "../kept-state.ts";

interface Kept {
  readonly text: string;
  readonly qos: 1 | 2;
  /** Packet id it was given after it was stored. */
  readonly id?: number;
}

/** A store that a broker before has left like this: one session, number 4, with these messages, which it may have lost. */
class Left extends MemoryStore {
  readonly #clientId: string;
  readonly #messages: readonly Kept[];
  readonly #lost: boolean;
  /** Numbers of sessions that were written. */
  readonly written: SessionRecord[] = [];

  constructor(
    clientId: string,
    messages: readonly Kept[],
    lost = false,
    commit?: () => Promise<void> | undefined,
  ) {
    super({ beforeCommit: commit });
    this.#clientId = clientId;
    this.#messages = messages;
    this.#lost = lost;
  }

  override async load(visitor: StoreVisitor): Promise<void> {
    const common = { username: undefined, policy: "standard", expiresAt: undefined, will: undefined };
    const record = { ...common, storeId: 4, clientId: this.#clientId, level: 5, expiryInterval: 0xffffffff };
    if (!this.#lost) {
      visitor.session(`standard\0${this.#clientId}`, record);
      visitor.cursor(4, cursorOf(this.#messages));
    }
    // Everything in a segment begins at a multiple of eight.
    const bytes = this.#messages.map(({ text }) => {
      const bare = message("t", text);
      return Buffer.concat([bare, Buffer.alloc(-bare.length & 7)]);
    });
    let offset = 0;
    const words = this.#messages.flatMap(({ qos }, position) => {
      const at = offset;
      offset += bytes[position].length;
      return [4, position, at, qos, NO_OFFSET, 0];
    });
    visitor.segment(1, Buffer.concat(bytes), Uint32Array.from(words));
  }

  override begin(): StoreBatch {
    const batch = super.begin();
    const { session } = batch;
    batch.session = (reference, record) => {
      this.written.push(record);
      session.call(batch, reference, record);
    };
    return batch;
  }
}

function cursorOf(messages: readonly Kept[]): Uint8Array {
  const late = messages.flatMap(({ id }, position) => (id === undefined ? [] : [[position, id]]));
  const bytes = Buffer.alloc(8 + 8 * late.length);
  bytes.writeUInt32LE(messages.length, 4);
  for (const [i, [position, id]] of late.entries()) {
    bytes.writeUInt32LE(position, 8 + 8 * i);
    bytes.writeUInt16LE(id, 12 + 8 * i);
    bytes[14 + 8 * i] = C_LATE;
  }
  return bytes;
}

let server: TestServer;
afterEach(() => server.stop());
async function start(store: Left): Promise<void> {
  server = new TestServer({ sysInterval: 0, store });
  await server.start();
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  // Two QoS 2 messages were given their identifiers together; the QoS 1 message between them gets its own now.
  test.each([
    [1, 2, 3],
    [65_535, 1, 2],
    [1, 65_535, 2],
    [65_534, 65_535, 1],
    [30_000, 60_000, 60_001],
    [20_000, 60_000, 20_001],
  ])(
    "ids %i and %i are held: the next one is %i, and nothing waits for another",
    async (first, third, next) => {
      const options = keptSession();
      await start(
        new Left(options.clientId as string, [
          { text: "first", qos: 2, id: first },
          { text: "second", qos: 1 },
          { text: "third", qos: 2, id: third },
        ]),
      );
      const client = await server.connect(version, options);
      expect(client.connack.sessionPresent).toBe(true);
      const messages = (await client.fence()).filter((packet) => packet.type === "publish");
      expect(messages.map(({ text, id, dup }) => [text, id, dup])).toEqual([
        ["first", first, true],
        ["second", next, false],
        ["third", third, true],
      ]);
    },
  );

  test("a restored QoS 2 message without an id is sent when the id it gets is safe", async () => {
    const options = keptSession();
    let held: (() => void) | undefined;
    let hold = false;
    const commit = (): Promise<void> | undefined =>
      hold
        ? new Promise((resolve) => {
            held = resolve;
          })
        : undefined;
    await start(new Left(options.clientId as string, [{ text: "x", qos: 2 }], false, commit));
    hold = true;
    const client = await server.connect(version, options);
    await eventually(() => held !== undefined, "a commit waits");
    await client.expectNothing();
    hold = false;
    held?.();
    expect(await client.next("publish")).toMatchObject({ text: "x", qos: 2, dup: false });
  });

  test("a new session does not get the number of one that is gone while its messages still lie there", async () => {
    const options = keptSession();
    const store = new Left(options.clientId as string, [{ text: "of another", qos: 1 }], true);
    await start(store);
    for (let i = 0; i < 5; i++) await server.connect(version, keptSession());
    const numbers = new Set(store.written.map(({ storeId }) => storeId));
    expect(numbers.size).toBe(5);
    expect(Math.min(...numbers)).toBeGreaterThan(4);
  });
});
