// Makes the fixture of the present format, once, before it changes: node test/store/make-fixture.mjs DIRECTORY
// DIRECTORY then holds the store's files, a log with a record that is not yet in the database file among them.
import { copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { openStore } from "../../dist/store/open-store.js";

const target = process.argv[2];
const directory = `${target}.working`;
const none = { username: undefined, expiresAt: undefined, will: undefined };
const session = (storeId) => ({
  key: `standard/c${storeId}`,
  storeId,
  cursor: () => Buffer.from(`cursor ${storeId}`),
});
const record = (storeId, more = {}) => ({
  storeId,
  clientId: `c${storeId}`,
  policy: "standard",
  level: 4,
  expiryInterval: 60,
  ...none,
  ...more,
});

function message(topic, payload) {
  const name = Buffer.from(topic);
  const head = Buffer.alloc(34);
  head.writeUInt32LE(32 + 2 + name.length + 1 + payload.length, 0);
  head.writeUInt32LE(1, 4);
  head.writeUInt32LE(0xffffffff, 8);
  head.writeUInt32LE(name.length, 12);
  head.writeUInt32LE(0xffffffff, 24);
  head.writeUInt16BE(name.length, 32);
  return Buffer.concat([head, name, Buffer.of(0), Buffer.from(payload)]);
}

async function fill(level, run) {
  const store = await openStore({ directory, level });
  const batch = store.begin();
  run(batch);
  await store.commit(batch);
  return store;
}

const [one, two] = [session(1), session(2)];
const owed = (storeId, position) => [storeId, position, 0, 1, 0xffffffff, 0];
const first = await fill("power", (batch) => {
  batch.session(
    one,
    record(1, {
      username: "u",
      expiresAt: 1_800_000_000_000,
      will: { due: 1, message: message("w", "will") },
    }),
  );
  batch.session(two, record(2));
  batch.subscription(one, "a/#", 0x21);
  batch.subscription(one, "l".repeat(2_000), 1);
  batch.subscription(two, "gone with the log", 1);
  batch.queue(one);
  batch.inbound(one, 7, message("t", "seven"));
  batch.inbound(one, 8, message("t", "eight"));
  batch.segment({
    serial: 1,
    bytes: message("t", "m1"),
    deliveries: Uint32Array.from([...owed(1, 0), ...owed(2, 0)]),
  });
  batch.segment({
    serial: 2,
    bytes: message("t", "gone with the log"),
    deliveries: Uint32Array.from(owed(1, 1)),
  });
  batch.retained("r", message("r", "kept"));
  batch.retained("l".repeat(2_000), message("l", "long"));
});
await first.close();
const second = await fill("process", (batch) => {
  batch.sessionEnded(two);
  batch.delivered(one, 8);
  batch.segmentGone(2);
  batch.segment({ serial: 3, bytes: message("t", "m3"), deliveries: Uint32Array.from(owed(1, 2)) });
  batch.retained("from the log", message("r", "new"));
});
mkdirSync(target, { recursive: true });
for (const name of readdirSync(join(directory, "store")))
  if (name !== "lock.mdb") copyFileSync(join(directory, "store", name), join(target, name));
await second.close();
