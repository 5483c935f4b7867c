// A broker of this checkout that writes down, when it ends, how often its store has written. Started by recorded.mjs.
// usage: node server.mjs LEVEL PORT DIRECTORY
import { writeFileSync } from "node:fs";
import path from "node:path";
import { createBroker, openStore } from "../../dist/index.js";

const [level, port, directory] = process.argv.slice(2);
const store = await openStore({ directory, level });
const broker = await createBroker({
  store,
  sysInterval: 0,
  listeners: [{ host: "127.0.0.1", port: Number(port) }],
});
process.once("SIGTERM", async () => {
  const { groups, spared } = store;
  writeFileSync(path.join(directory, "counts.json"), JSON.stringify({ groups, spared }));
  await broker.close();
  process.exit(0);
});
