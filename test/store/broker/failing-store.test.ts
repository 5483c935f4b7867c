// The store of a running broker knows that it cannot write: what its clients are told, what is kept of what they were refused,
// and what the log says.
import { expect, test } from "vitest";
import type { Logger } from "../../../src/options.ts";
import { type DurableLevel, openStore } from "../../../src/store/open-store.ts";
import { BOTH, eventually, keptSession, TestServer } from "../../support/server.ts";
import { temporaryDirectory } from "../directories.ts";

const LEVELS: DurableLevel[] = ["power", "process"];
const MEBIBYTE = 1_048_576;

for (const level of LEVELS)
  test.each(BOTH)(`${level}, %s: what is refused does not fill the queues`, async (_name, version) => {
    let free = Number.POSITIVE_INFINITY;
    const errors: string[] = [];
    const quiet = (): void => undefined;
    const error = (_fields: object, text: string): void => void errors.push(text);
    const logger: Logger = { debug: quiet, info: quiet, warn: quiet, error };
    const directory = temporaryDirectory();
    const options = { directory, level, logger, retryMs: 20, freeBytes: () => free };
    const store = await openStore(options);
    const server = new TestServer(() => ({ sysInterval: 0, store, logger }));
    await server.start();
    try {
      const kept = keptSession();
      const receiver = await server.connect(version, kept);
      await receiver.subscribe([{ filter: "t/#", qos: 2 }]);
      await receiver.disconnect();
      const publisher = await server.connect(version, keptSession());
      const payload = "x".repeat(100_000);
      free = 0;
      // At level "process" the log takes it until the database file has to.
      let id = 1;
      const send = async (topic: string, qos: 1 | 2): Promise<void> => {
        id++;
        publisher.send(publisher.wire.publish(topic, payload, { qos, id, retain: qos === 1 }));
        if (version !== 5) return void (await publisher.expectNothing());
        const answer = await publisher.next(qos === 1 ? "puback" : "pubrec");
        expect(answer).toMatchObject({ id });
        expect([0x80, 0x97]).toContain(answer.reason);
      };
      if (level === "process") {
        await publisher.publish("t/first", "", { qos: 1, id });
        await eventually(() => store.failure !== undefined, "the database file cannot take it");
      } else await send("t/first", 1);
      for (let i = 0; i < 10; i++) {
        await send("t/again", 1);
        await send(`t/${i}`, 2);
      }
      await expect(server.broker.publish({ topic: "t/server", payload, qos: 1 })).rejects.toThrow(
        "store failed",
      );
      expect(errors).toEqual(["the store cannot write; clients are refused until it can again"]);
      // Room for what is left, not for all that was refused.
      free = 12 * MEBIBYTE;
      await eventually(() => store.failure === undefined, "it recovers");
      const after = await server.connect(version);
      await after.publish("t/after", "", { qos: 1, id: 1 });
      const again = await server.connect(version, kept);
      const topics: string[] = [];
      while (topics.at(-1) !== "t/after") topics.push((await again.receive()).topic);
      // The first was refused by the write itself, when the queue had it already.
      expect(topics).toEqual(["t/first", "t/after"]);
    } finally {
      await server.stop();
      await store.close();
    }
  });
