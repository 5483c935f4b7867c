// The three courses a run can take: steady traffic, queueing for absent sessions, bare connections.
// Each returns a report with the field names of mqload's, so that readers need not care which tool wrote it.
import { Client } from "./client.mjs";
import { planOf, readCredentials } from "./credentials.mjs";
import { makePlan } from "./plan.mjs";
import { clock, inParallel, Traffic } from "./traffic.mjs";
import { cpuSeconds, memoryBytes } from "./usage.mjs";

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
const perCpu = (count, from, to) => (to === undefined ? undefined : count / Math.max(to - from, 1e-9));

function percentiles(samples) {
  const sorted = samples.sort();
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] * 1000;
  if (sorted.length === 0) return undefined;
  return { n: sorted.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1) };
}

function verdict(traffic) {
  const { checker, expected } = traffic;
  const lost = Math.max(0, expected - checker.delivered);
  return {
    expected,
    delivered: checker.delivered,
    lost,
    errors: checker.errors,
    ok: lost === 0 && checker.clean,
  };
}

function planFor(options) {
  return options.rows ? planOf(options.rows, options) : makePlan(options);
}

async function steady(options) {
  const traffic = new Traffic(options, planFor(options));
  try {
    await traffic.connect({ persistent: options.persistent });
    traffic.start();
    await sleep(options.warmup);
    traffic.sampling = true;
    const from = traffic.snapshot();
    const ownFrom = process.cpuUsage();
    await sleep(options.duration);
    const to = traffic.snapshot();
    const own = process.cpuUsage(ownFrom);
    traffic.sampling = false;
    await traffic.finish();
    const seconds = to.time - from.time;
    const [sent, delivered] = [to.sent - from.sent, to.delivered - from.delivered];
    return {
      seconds,
      published_per_s: sent / seconds,
      delivered_per_s: delivered / seconds,
      gen_cpu: (own.user + own.system) / 1e6 / seconds,
      delivered_per_cpu_s: perCpu(delivered, from.cpu, to.cpu),
      published_per_cpu_s: perCpu(sent, from.cpu, to.cpu),
      broker_cpu: to.cpu === undefined ? undefined : (to.cpu - from.cpu) / seconds,
      latency_us: percentiles(
        traffic.latencies.slice(0, Math.min(traffic.latencyCount, traffic.latencies.length)),
      ),
      ...verdict(traffic),
    };
  } finally {
    traffic.close();
  }
}

async function store(options) {
  const plan = makePlan(options);
  const traffic = new Traffic(options, plan);
  try {
    await traffic.connect({ persistent: true });
    await inParallel(traffic.subscribers, ({ client }) => client.close());
    for (const [index, publisher] of traffic.publishers.entries()) {
      publisher.remaining = plan.publishers[index].streams.length * options.messages;
    }
    const memory = memoryBytes(options.brokerPid);
    const start = traffic.snapshot();
    traffic.start();
    await traffic.settle(() => traffic.publishers.every(({ remaining, idle }) => remaining === 0 && idle));
    traffic.publishing = false;
    const queued = traffic.snapshot();
    const full = memoryBytes(options.brokerPid);
    const drainFrom = traffic.snapshot();
    await inParallel(traffic.subscribers, ({ client }) => client.open());
    await traffic.settle(() => traffic.checker.delivered >= traffic.expected);
    const end = traffic.snapshot();
    const drained = end.delivered - drainFrom.delivered;
    await inParallel(traffic.subscribers, ({ client }) => client.forget());
    return {
      sessions: traffic.subscribers.length,
      messages: options.messages,
      enqueue_per_s: queued.sent / (queued.time - start.time),
      drain_per_s: drained / (end.time - drainFrom.time),
      enqueue_per_cpu_s: perCpu(queued.sent, start.cpu, queued.cpu),
      drain_per_cpu_s: perCpu(drained, drainFrom.cpu, end.cpu),
      pss_before: memory,
      pss_after: full,
      ...verdict(traffic),
    };
  } finally {
    traffic.close();
  }
}

async function connections(options) {
  const { brokerPid, host, port, tls, proto, prefix, rows } = options;
  const clients = Array.from({ length: planFor(options).bare }, (_, index) => {
    const { clientId = `${prefix}${index}`, username, password } = rows?.[index] ?? {};
    const client = new Client({
      host,
      port,
      tls,
      proto,
      clean: true,
      clientId,
      username,
      password,
      keepAlive: 60,
    });
    client.onFault = () => faults++;
    return client;
  });
  let faults = 0;
  try {
    const memory = memoryBytes(brokerPid);
    const [time, cpu] = [clock(), cpuSeconds(brokerPid)];
    await inParallel(clients, (client) => client.open());
    const [connected, used] = [clock(), cpuSeconds(brokerPid)];
    await sleep(options.duration);
    const after = memoryBytes(brokerPid);
    const held = clients.length - faults;
    return {
      connections: clients.length,
      held,
      connects_per_s: clients.length / (connected - time),
      connects_per_cpu_s: perCpu(clients.length, cpu, used),
      pss_before: memory,
      pss_after: after,
      bytes_per_connection: after === undefined ? undefined : (after - memory) / held,
      errors: { disconnects: faults },
      ok: faults === 0,
    };
  } finally {
    for (const client of clients) client.destroy();
  }
}

export const SCENARIOS = ["p2p", "fanin", "fanout", "wild", "share", "latency", "store", "conns"];

export function runScenario(given) {
  const options = given.credentials ? { ...given, rows: readCredentials(given.credentials) } : given;
  if (options.scenario === "store") return store({ ...options, qos: options.qos || 1, window: 0 });
  return options.scenario === "conns" ? connections(options) : steady(options);
}
