// A broker of this checkout with devices in memory that calls them, on a process of its own: what the calls cost stands in
// its books alone. Started by rrpc.mjs; asked { inFlight, seconds }, answers with what it measured. usage: node rrpc-server.mjs
import { createBroker, MemoryRegistry } from "../../dist/index.js";
import { nameOf, PK, secretOf } from "./devices.mjs";

const devices = Number(process.argv[2]);
const registry = new MemoryRegistry();
registry.putProduct({ productKey: PK });
for (let i = 0; i < devices; i++)
  registry.putDevice({ productKey: PK, deviceName: nameOf(i), deviceSecret: secretOf(i) });
const broker = await createBroker({
  profile: "platform",
  devices: registry,
  platform: { rates: { enabled: false } },
  listeners: [{ host: "127.0.0.1", port: 0 }],
});

/** Keeps `inFlight` calls under way for some seconds; every answer is compared. */
async function measure({ inFlight, seconds }) {
  const latencies = [];
  let failed = 0;
  let next = 0;
  const begun = performance.now();
  const cpu = process.cpuUsage();
  const until = begun + seconds * 1_000;
  const caller = async () => {
    while (performance.now() < until) {
      const n = next++;
      const from = performance.now();
      const result = await broker.rrpc({ productKey: PK, deviceName: nameOf(n % devices) }, `call ${n}`);
      if (result.code !== "SUCCESS" || result.payload.toString() !== `call ${n}`) failed++;
      latencies.push(performance.now() - from);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  const wall = (performance.now() - begun) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  latencies.sort((a, b) => a - b);
  const at = (share) => latencies[Math.floor(share * (latencies.length - 1))];
  return {
    calls: latencies.length,
    failed,
    perSecond: latencies.length / wall,
    perCpuSecond: latencies.length / ((user + system) / 1e6),
    p50: at(0.5),
    p99: at(0.99),
  };
}

process.on("message", async (request) => process.send(await measure(request)));
process.once("disconnect", () => broker.close());
process.send({ port: broker.listeners[0].port });
