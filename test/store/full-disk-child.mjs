// A process that commits a turn every few milliseconds and says how each ended, refused ones with their code. Runs from
// dist/.   node full-disk-child.mjs LEVEL DIRECTORY [real]     On its standard input: full, room (unless real), end.
import { writeSync } from "node:fs";
import { openStore } from "../../dist/store/open-store.js";

const [level, directory, real] = process.argv.slice(2);
const say = (text) => writeSync(1, `${text}\n`);
const log = (_fields, message) => say(`log ${message}`);
const logger = { debug: log, info: log, warn: log, error: log };
let free = Number.POSITIVE_INFINITY;
const options = { directory, level, logger, retryMs: 50 };
const store = await openStore(real === "real" ? options : { ...options, freeBytes: () => free });
const none = { username: undefined, expiresAt: undefined, will: undefined };
const session = { key: "s", storeId: 1, cursor: () => Buffer.from(`${n}`) };
let n = 0;
let running = true;
process.stdin.on("data", (chunk) => {
  const word = chunk.toString().trim();
  if (word === "full") free = 0;
  else if (word === "room") free = Number.POSITIVE_INFINITY;
  else running = false;
});
while (running) {
  n++;
  const turn = n;
  const batch = store.begin();
  if (n === 1)
    batch.session(session, {
      storeId: 1,
      clientId: "c",
      policy: "standard",
      level: 5,
      expiryInterval: 1,
      ...none,
    });
  batch.queue(session);
  batch.segment({ serial: n, bytes: Buffer.alloc(40_000, n), deliveries: Uint32Array.of(1, n, 0, 1, 0, 0) });
  if (n > 10) batch.segmentGone(n - 10);
  const begun = performance.now();
  await store.commit(batch).then(
    () => say(`ok ${turn}`),
    (error) => say(`refused ${turn} ${error.code} ${Math.round(performance.now() - begun)}`),
  );
  await new Promise((resolve) => setTimeout(resolve, 5));
}
await store.close();
say("closed");
