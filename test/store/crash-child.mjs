// A process that commits turns and says on standard output which are resolved, until it is killed. Runs from dist/.
//   node crash-child.mjs LEVEL DIRECTORY [PACE_MS]
// Turn n is one batch in which everything carries n. "hold" on standard input: no further turn; it says "held".
import { writeSync } from "node:fs";
import { openStore } from "../../dist/store/open-store.js";

const [level, directory, pace = "0"] = process.argv.slice(2);
const store = await openStore({ directory, level });
let last = 0;
const nothing = () => undefined;
await store.load({
  session: nothing,
  subscription: nothing,
  cursor: nothing,
  inbound: nothing,
  segment: (serial) => {
    last = serial;
  },
  retained: nothing,
});
const sessions = [1, 2, 3].map((storeId) => ({
  key: `s${storeId}`,
  storeId,
  cursor: () => Buffer.from(`${turn}`),
}));
let turn = last;
let holding = false;
process.stdin.on("data", (text) => {
  holding = !holding;
  if (String(text).startsWith("hold")) holding = true;
});

function record({ storeId }) {
  const none = { username: undefined, expiresAt: undefined, will: undefined };
  return { storeId, clientId: `c${storeId}`, policy: "standard", level: 5, expiryInterval: 1_000, ...none };
}

function message(text) {
  const bytes = Buffer.alloc(48 + (turn % 7) * 700 + text.length);
  bytes.write(text);
  return bytes;
}

let resolved = 0;
while (true) {
  if (holding) {
    if (resolved === turn - last) {
      writeSync(1, "held\n");
      await new Promise((resolve) => process.stdin.once("data", resolve));
      holding = false;
    } else await new Promise((resolve) => setTimeout(resolve, 1));
    continue;
  }
  turn++;
  const n = turn;
  const batch = store.begin();
  for (const session of sessions) {
    batch.session(session, record(session));
    batch.queue(session);
    batch.subscription(session, `f/${n % 10}`, n);
  }
  batch.segment({ serial: n, bytes: message(`m${n}`), deliveries: Uint32Array.of(1, n, 0, 1, 0, 0) });
  if (n > 20) batch.segmentGone(n - 20);
  batch.retained("r", message(`${n}.`));
  store.commit(batch).then(() => {
    resolved++;
    writeSync(1, `${n}\n`);
  });
  if (Number(pace) > 0) await new Promise((resolve) => setTimeout(resolve, Number(pace)));
  else if (n % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
  while (turn - last - resolved > 40) await new Promise((resolve) => setImmediate(resolve));
}
