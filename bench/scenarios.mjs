// What is measured, as data: arguments of the load generator, engines to compare, and what Millrace must reach.
//
//   regime   pipelined: many packets per segment · single: one packet per segment · alone: one message in flight
//   load     arguments of the load generator (payload 64 bytes, MQTT 3.1.1, one connection per client)
//   relay    traffic shape of the relay, where the relay can do it
//   metrics  figures taken from its report; `bounds` compare with a peer or with another scenario of Millrace's own
//            own: `least` is required, `goal` is hoped for. `better: "lower"` turns the comparison round.

const perCpu = (...bounds) => [{ path: "delivered_per_cpu_s", label: "delivered/CPU-s", bounds }];
const flashmq = (least, goal) => ({ peer: "flashmq", least, goal });
const aedes = (least) => ({ peer: "aedes", least });
const mosquitto = (least) => ({ peer: "mosquitto", least });
const relay = (least, goal) => ({ peer: "relay", least, goal });

const BROKERS = ["flashmq", "mosquitto", "aedes"];
const WITH_RELAY = [...BROKERS, "relay"];
const WITH_TLS = ["flashmq", "mosquitto"];

const load = (text) => text.split(" ");

export const scenarios = [
  {
    name: "q0-pairs",
    title: "QoS 0 pipelined, 10 pairs",
    regime: "pipelined",
    load: load("--scenario p2p --pubs 10 --qos 0 --window 10000"),
    relay: "p2p",
    peers: WITH_RELAY,
    metrics: perCpu(flashmq(1.6, 2.5), aedes(40)),
  },
  {
    name: "q0-fan-in",
    title: "QoS 0 pipelined, fan-in 50→1",
    regime: "pipelined",
    load: load("--scenario fanin --pubs 50 --topics 50 --window 10000"),
    peers: BROKERS,
    metrics: perCpu(flashmq(1.2, 1.6), aedes(35)),
  },
  {
    name: "q0-fan-out-200",
    title: "QoS 0 pipelined, fan-out 1→200",
    regime: "pipelined",
    load: load("--scenario fanout --pubs 1 --subs 200 --window 200"),
    relay: "fanout",
    peers: WITH_RELAY,
    metrics: perCpu(flashmq(1.4, 2.5), aedes(80)),
  },
  {
    name: "q0-fan-out-1000",
    title: "QoS 0 pipelined, fan-out 1→1000",
    regime: "pipelined",
    load: load("--scenario fanout --pubs 1 --subs 1000 --window 100"),
    relay: "fanout",
    peers: WITH_RELAY,
    metrics: perCpu(flashmq(1.2, 1.8), aedes(50)),
  },
  {
    name: "q0-single-10",
    title: "QoS 0, one packet per write, 10 pairs",
    regime: "single",
    load: load("--scenario p2p --pubs 10 --qos 0 --window 10000 --chunk 1"),
    relay: "p2p",
    peers: WITH_RELAY,
    metrics: perCpu(relay(0.85, 0.95), flashmq(0.9), aedes(2.5)),
  },
  {
    name: "q0-single-100",
    title: "QoS 0, one packet per write, 100 pairs",
    regime: "single",
    load: load("--scenario p2p --pubs 100 --qos 0 --window 10000 --chunk 1"),
    relay: "p2p",
    peers: WITH_RELAY,
    metrics: perCpu(relay(0.85, 0.95), flashmq(0.9), aedes(2.5)),
  },
  {
    name: "q0-alone",
    title: "QoS 0, one message in flight, 1→1",
    regime: "alone",
    load: load("--scenario p2p --pubs 1 --qos 0 --window 1"),
    relay: "p2p",
    peers: WITH_RELAY,
    metrics: perCpu(),
  },
  {
    name: "q0-alone-fan-out",
    title: "QoS 0, one message in flight, 1→1000",
    regime: "alone",
    load: load("--scenario fanout --pubs 1 --subs 1000 --window 1"),
    relay: "fanout",
    peers: WITH_RELAY,
    metrics: perCpu(),
  },
  {
    name: "q1-pairs",
    title: "QoS 1, 10 pairs, 100 in flight",
    regime: "pipelined",
    load: load("--scenario p2p --pubs 10 --qos 1 --inflight 100"),
    peers: BROKERS,
    metrics: perCpu(flashmq(1.05, 1.5), aedes(20)),
  },
  {
    name: "q2-pairs",
    title: "QoS 2, 10 pairs, 100 in flight",
    regime: "pipelined",
    load: load("--scenario p2p --pubs 10 --qos 2 --inflight 100"),
    peers: BROKERS,
    metrics: perCpu(flashmq(1.0, 1.4)),
  },
  {
    name: "q1-shared",
    title: "shared group of 10, QoS 1",
    regime: "pipelined",
    load: load("--scenario share --qos 1 --pubs 10 --subs 10"),
    peers: ["flashmq", "mosquitto"], // Aedes has no shared subscriptions
    metrics: perCpu(flashmq(1.0, 1.4)),
  },
  {
    name: "q1-fan-out-200",
    title: "QoS 1, fan-out 1→200",
    regime: "pipelined",
    load: load("--scenario fanout --qos 1 --pubs 1 --subs 200 --inflight 100"),
    peers: BROKERS,
    metrics: perCpu(flashmq(1.0, 1.5)),
  },
  {
    name: "wild",
    title: "wild, 10 publishers, 100 subscribers with exact, + and # filters",
    regime: "pipelined",
    load: load("--scenario wild --pubs 10 --subs 100 --topics 100 --window 1000"),
    peers: BROKERS,
    metrics: perCpu(flashmq(1.2, 2)),
  },
  {
    name: "store",
    title: "store, 100 sessions × 1,000 QoS 1 messages",
    regime: "pipelined",
    load: load("--scenario store --subs 100 --messages 1000 --pubs 10"),
    peers: BROKERS,
    metrics: [
      { path: "enqueue_per_cpu_s", label: "enqueued/CPU-s", bounds: [flashmq(0.7, 1.0), mosquitto(3)] },
      { path: "drain_per_cpu_s", label: "drained/CPU-s", bounds: [flashmq(0.7, 1.0), mosquitto(3)] },
    ],
  },
  {
    name: "v5-pairs",
    title: "QoS 0 pipelined, 10 pairs, 5.0 on both sides",
    regime: "pipelined",
    load: load("--scenario p2p --pubs 10 --qos 0 --window 10000 --proto 5"),
    relay: "p2p",
    peers: ["flashmq", "mosquitto", "relay"],
    metrics: perCpu({ scenario: "q0-pairs", least: 0.8 }),
  },
  {
    name: "v5-single",
    title: "QoS 0, one packet per write, 10 pairs, 5.0 on both sides",
    regime: "single",
    load: load("--scenario p2p --pubs 10 --qos 0 --window 10000 --chunk 1 --proto 5"),
    relay: "p2p",
    peers: ["flashmq", "mosquitto", "relay"],
    metrics: perCpu({ scenario: "q0-single-10", least: 0.8 }),
  },
  {
    name: "v5-q1-pairs",
    title: "QoS 1, 10 pairs, 5.0 on both sides",
    regime: "pipelined",
    load: load("--scenario p2p --pubs 10 --qos 1 --inflight 100 --proto 5"),
    peers: ["flashmq", "mosquitto"],
    metrics: perCpu(),
  },
  {
    name: "v3-to-v5",
    title: "QoS 0 pipelined, 10 pairs, 3.1.1 → 5.0",
    regime: "pipelined",
    ownGenerator: true, // the two sides speak different versions
    load: load("--scenario p2p --pubs 10 --qos 0 --window 10000 --sub-proto 5"),
    peers: ["flashmq", "mosquitto"],
    metrics: perCpu(),
  },
  {
    name: "large",
    title: "QoS 0, 10 pairs, 8 KiB payload",
    regime: "pipelined",
    load: load("--scenario p2p --pubs 10 --qos 0 --window 1000 --size 8192"),
    relay: "p2p",
    peers: WITH_RELAY,
    metrics: perCpu(),
  },
  {
    name: "tls-pairs",
    title: "TLS 1.3, QoS 0 pipelined, 10 pairs",
    regime: "pipelined",
    tls: true,
    load: load("--scenario p2p --pubs 10 --qos 0 --window 10000"),
    peers: WITH_TLS,
    metrics: perCpu(mosquitto(1)),
  },
  {
    name: "tls-single",
    title: "TLS 1.3, QoS 0, one packet per write, 10 pairs",
    regime: "single",
    tls: true,
    load: load("--scenario p2p --pubs 10 --qos 0 --window 10000 --chunk 1"),
    peers: WITH_TLS,
    metrics: perCpu(mosquitto(1)),
  },
  {
    name: "tls-connections",
    title: "TLS 1.3, 1,000 connections",
    regime: "alone",
    tls: true,
    load: load("--scenario conns --pubs 1000"),
    peers: WITH_TLS,
    metrics: [
      { path: "connects_per_cpu_s", label: "handshakes/CPU-s", bounds: [mosquitto(1)] },
      { path: "bytes_per_connection", label: "bytes/connection", better: "lower", bounds: [] },
    ],
  },
  {
    name: "latency",
    title: "5,000 msg/s over 10 pairs",
    regime: "alone",
    runs: 5,
    load: load("--scenario latency --pubs 10 --rate 5000"),
    relay: "p2p",
    peers: WITH_RELAY,
    metrics: [
      { path: "latency_us.p50", label: "p50 µs", better: "lower", bounds: [relay(1.3, 1.1)] },
      { path: "latency_us.p99", label: "p99 µs", better: "lower", bounds: [relay(1.3, 1.1)] },
    ],
  },
  {
    name: "connections",
    title: "10,000 connections",
    regime: "alone",
    load: load("--scenario conns --pubs 10000"),
    relay: "p2p",
    peers: WITH_RELAY,
    metrics: [
      { path: "connects_per_cpu_s", label: "connects/CPU-s", bounds: [relay(0.6, 0.8), aedes(3)] },
      {
        path: "bytes_per_connection",
        label: "bytes/connection",
        better: "lower",
        bounds: [{ value: 8192, goal: 5120 }],
      },
    ],
  },
];
