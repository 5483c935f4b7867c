// Started by aedes.mjs: an Aedes broker in memory with its limits lifted. usage: node aedes-server.mjs PORT
import net from "node:net";
import { Aedes } from "aedes";

const broker = await Aedes.createBroker({
  queueLimit: 1_000_000,
  drainTimeout: 0,
  maxInflightInbound: Number.MAX_SAFE_INTEGER,
  concurrency: 0,
});
net
  .createServer({ noDelay: true }, broker.handle)
  .listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
