// Everybody comes back at once while messages flow: what waited and what is new must reach each session in order.
// The broker is a process of its own, so that 10,000 sessions need 10,000 descriptors on either side and not twice as many
// in one. MILLRACE_SESSIONS=10000 needs `ulimit -n 11000` or more. Its limits are the defaults.
import { afterAll, beforeAll, expect } from "vitest";
import { Workplace } from "../cli/executable.ts";
import { RawClient } from "../support/raw-client.ts";
import { ours, PEER } from "../support/server.ts";
import type { ConnectOptions } from "../support/wire.ts";

const SESSIONS = Number(process.env["MILLRACE_SESSIONS"] ?? 1_000);
const MESSAGES = 20;
/** Sent while everybody is away; the others are spread over the return. */
const WAITING = 5;
const AT_ONCE = 100;
const DEADLINE_MS = 20_000 * Math.max(1, SESSIONS / 1_000);

const workplace = new Workplace();
let port = 0;
beforeAll(async () => {
  if (PEER) return;
  const broker = await workplace.start(
    ...["--profile", "standard", "--listen", "tcp://127.0.0.1:0", "--durability", "none"],
  );
  [port] = broker.ports;
});
afterAll(() => workplace.close());

async function connect(options: ConnectOptions): Promise<RawClient> {
  const client = await RawClient.open({ port }, 5);
  expect(await client.connect({ keepAlive: 0, ...options })).toMatchObject({ reason: 0 });
  return client;
}

const session = (index: number): ConnectOptions => ({
  clientId: `session-${index}`,
  clean: false,
  properties: { sessionExpiryInterval: 1_000 },
});

/** Counts, and lets others wait for a count. */
class Counter {
  #count = 0;
  readonly #waiting: { readonly at: number; readonly resolve: () => void }[] = [];

  add(): void {
    this.#count++;
    while (this.#waiting.length > 0 && this.#waiting[0].at <= this.#count) this.#waiting.shift()?.resolve();
  }

  /** Asked for with rising counts only. */
  reached(at: number): Promise<void> {
    if (this.#count >= at) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ at, resolve }));
  }
}

/** Numbers of the messages up to the last one, as they come. */
async function receiveAll(client: RawClient): Promise<number[]> {
  const numbers: number[] = [];
  while (numbers.at(-1) !== MESSAGES - 1) numbers.push(Number((await client.receive(DEADLINE_MS)).text));
  return numbers;
}

/** A message that is repeated may come again; what came for the first time is what must be in order. */
const firsts = (numbers: number[]): number[] => [...new Set(numbers)];

ours(
  `${SESSIONS} sessions reconnect at once and miss nothing`,
  async () => {
    for (let at = 0; at < SESSIONS; at += AT_ONCE) {
      const indices = Array.from({ length: Math.min(AT_ONCE, SESSIONS - at) }, (_, i) => at + i);
      await Promise.all(
        indices.map(async (index) => {
          const client = await connect(session(index));
          expect((await client.subscribe({ filter: "load/#", qos: 1 })).reasons).toEqual([1]);
          await client.disconnect();
        }),
      );
    }

    const publisher = await connect({ clientId: "publisher" });
    const send = async (number: number): Promise<void> => {
      expect(await publisher.publish("load/all", String(number), { qos: 1 })).toMatchObject({ reason: 0 });
    };
    for (let number = 0; number < WAITING; number++) await send(number);

    const back = new Counter();
    const publishing = (async () => {
      for (let number = WAITING; number < MESSAGES; number++) {
        await back.reached(Math.floor((SESSIONS * (number - WAITING)) / (MESSAGES - WAITING)));
        await send(number);
      }
    })();
    const expected = Array.from({ length: MESSAGES }, (_, number) => number);
    const sessions = Array.from({ length: SESSIONS }, async (_, index) => {
      const client = await connect(session(index));
      back.add();
      expect(client.connack.sessionPresent).toBe(true);
      expect(firsts(await receiveAll(client))).toEqual(expected);
    });
    await Promise.all([publishing, ...sessions]);
  },
  DEADLINE_MS,
);
