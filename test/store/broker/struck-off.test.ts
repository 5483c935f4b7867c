// What has happened must be told to the store, or a restart makes it happen again.
import { expect, test } from "vitest";
import { canonicalMessage } from "../../../src/routing/messages/message.ts";
import { RetainedMessages } from "../../../src/routing/retained/retained.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import type { SessionRecord, StoreBatch } from "../../../src/store/contract/store.ts";
import { eventually, unique, useServer } from "../../support/server.ts";

const records = new Map<string, SessionRecord>();
class Recording extends MemoryStore {
  override begin(): StoreBatch {
    const batch = super.begin();
    const { session } = batch;
    batch.session = (ref, record) => {
      records.set(record.clientId, record);
      session.call(batch, ref, record);
    };
    return batch;
  }
}
const server = useServer({ sysInterval: 0, store: new Recording() });

test("a Will that was sent waits in the store no longer [MQTT-3.1.2-10]", async () => {
  const clientId = unique();
  const watcher = await server.connect(5);
  await watcher.subscribe("will");
  const client = await server.connect(5, {
    clientId,
    clean: false,
    properties: { sessionExpiryInterval: 1_000 },
    will: { topic: "will", payload: "gone", properties: { willDelayInterval: 1 } },
  });
  client.destroy();
  await eventually(() => records.get(clientId)?.will !== undefined, "the Will waits in the store");
  expect(await watcher.next("publish")).toMatchObject({ topic: "will", text: "gone" });
  await eventually(() => records.get(clientId)?.will === undefined, "the Will is struck off the store");
});

test("the sweep names expired topics, for the store to forget as well", () => {
  const retained = new RetainedMessages(10, 10_000);
  const keep = (topic: string, expiry: number | undefined): void => {
    const message = { topic, payload: Buffer.of(1), qos: 0, retain: true } as const;
    const properties = { messageExpiryInterval: expiry };
    retained.set(topic, canonicalMessage({ ...message, properties }, 0, 1_000));
  };
  keep("a/b", 1);
  keep("a/c", undefined);
  keep("a/d", 100);
  expect([...retained.sweep(() => 3_000)].filter((topic) => topic !== undefined)).toEqual(["a/b"]);
});
