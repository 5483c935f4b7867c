// What is measured of brokers that keep their messages, as data; see ../scenarios.mjs. `bounds` hold what each of
// Millrace's levels must reach beside its own memory store and beside Mosquitto with its persistence on. `twice`: the load
// comes a second time to the same broker, whose report is `again`: what has no warm-up costs a young process more.

const load = (text) => text.split(" ");
const both = (ofMemory) => ({
  process: [
    { peer: "memory", least: ofMemory.process },
    { peer: "mosquitto", least: 3 },
  ],
  power: [
    { peer: "memory", least: ofMemory.power },
    { peer: "mosquitto", least: 3 },
  ],
});

const ENQUEUE = both({ process: 0.4, power: 0.3 });
const DRAIN = both({ process: 0.5, power: 0.5 });

export const scenarios = [
  {
    name: "durable-pairs",
    title: "QoS 1 to online persistent sessions, 10 pairs, 100 in flight",
    load: load("--scenario p2p --pubs 10 --qos 1 --inflight 100 --persistent"),
    metrics: [
      { path: "delivered_per_cpu_s", label: "delivered/CPU-s", bounds: both({ process: 0.5, power: 0.5 }) },
    ],
  },
  {
    name: "durable-store",
    title: "100 sessions × 1,000 QoS 1 messages queued and drained",
    load: load("--scenario store --subs 100 --messages 1000 --pubs 10"),
    twice: true,
    metrics: [
      { path: "enqueue_per_cpu_s", label: "enqueued/CPU-s", bounds: ENQUEUE },
      { path: "drain_per_cpu_s", label: "drained/CPU-s", bounds: DRAIN },
      { path: "again.enqueue_per_cpu_s", label: "enqueued/CPU-s the second time", bounds: ENQUEUE },
      { path: "again.drain_per_cpu_s", label: "drained/CPU-s the second time", bounds: DRAIN },
    ],
  },
];
