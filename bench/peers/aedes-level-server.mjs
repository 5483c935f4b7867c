// Started by aedes-level.mjs: an Aedes broker that keeps its messages in LevelDB. Acknowledges without a flush.
// usage: node aedes-level-server.mjs PORT DATABASE FOLDER, whose node_modules has the packages
import { createRequire } from "node:module";
import net from "node:net";

const [port, database, folder] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { Aedes } = require("aedes");
const { Level } = require("level");
const persistence = require("aedes-persistence-level");

const broker = await Aedes.createBroker({
  persistence: (persistence.default ?? persistence)(new Level(database)),
  queueLimit: 1_000_000,
  drainTimeout: 0,
  maxInflightInbound: Number.MAX_SAFE_INTEGER,
  concurrency: 0,
});
net
  .createServer({ noDelay: true }, broker.handle)
  .listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
