// The broker that is killed: the built package with a durable store on a data directory and a fixed port. A process of
// its own; says "ready" to its parent, and nothing else. With `faults` its store fails as faults.mjs decides.
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const options = JSON.parse(process.argv[2]);
const load = (path) => import(pathToFileURL(join(options.dist, path)).href);
const say = (level) => (fields, message) =>
  process.stderr.write(
    `${level} ${message} ${JSON.stringify(fields, (_, v) => (v instanceof Error ? v.stack : v))}\n`,
  );
const logger = { debug() {}, info() {}, warn: say("warn"), error: say("error") };

const { createBroker } = await load("index.js");
const { openStore } = await load("store/open-store.js");
const storeOptions = { directory: options.directory, level: options.level, logger, retryMs: 20 };
let faults;
if (options.faults !== undefined) {
  const { Faults } = await import("./faults.mjs");
  faults = new Faults(options.faults);
  const { LmdbFile } = await load("store/database/lmdb-file.js");
  faults.patch(LmdbFile.prototype);
  if (options.level === "process") {
    const { DiskLogFiles } = await load("store/log/log-files.js");
    const { storeDirectory } = await load("store/open-store.js");
    storeOptions.logFiles = faults.logFiles(new DiskLogFiles(storeDirectory(options.directory)));
  }
}
const store = await openStore(storeOptions);
await createBroker({
  profile: "standard",
  listeners: [{ port: options.port }],
  store,
  logger,
  sysInterval: 0,
});
if (faults !== undefined) {
  faults.active = true;
  process.on("message", (message) => {
    faults.active = message.faults;
  });
}
process.on("disconnect", () => process.exit(0));
process.send("ready");
