// What is measured of the platform profile, as data: signed devices beside the standard profile with the same clients, rates
// lifted. `bounds` compare with that. The files of clients say who sends what to whom, so the topics are the same too.
import { ownTopic } from "./devices.mjs";

const load = (text) => text.split(" ");
const PER_CPU = "delivered_per_cpu_s";
const beside = (least) => [{ peer: "standard", least }];
const range = (count, from = 0) => Array.from({ length: count }, (_, i) => from + i);

export function platformScenarios({ line, file, count }) {
  const own = (n) =>
    file(
      `own-${n}`,
      range(n).map((i) => line(i, ownTopic(i), ownTopic(i))),
    );
  const free = (i) => `bench/free/${i}`;
  const files = {
    all: file(
      "all",
      range(count).map((i) => line(i)),
    ),
    own10: own(10),
    own100: own(100),
    pairs: file(
      "pairs",
      range(20).map((i) => (i < 10 ? line(i, "", free(i)) : line(i, free(i - 10)))),
    ),
    fanIn: file("fan-in", [line(0, "", "bench/free/+"), ...range(50, 1).map((i) => line(i, free(i)))]),
    fanOut: file("fan-out", [...range(200).map((i) => line(i, "", free(0))), line(200, free(0))]),
  };
  const loop = (n, title, regime, args) => ({
    name: `platform-own-${n}-${regime}-${args.includes("--qos 1") ? "q1" : "q0"}`,
    title: `${n} devices, each to itself, ${title}`,
    load: load(`--scenario p2p --pubs ${n} --subs ${n} --creds-file ${files[`own${n}`]} ${args}`),
    metrics: [{ path: PER_CPU, label: "delivered/CPU-s", bounds: beside(0.85) }],
  });
  const shared = (name, title, args) => ({
    name: `platform-free-${name}`,
    title: `free topics, ${title}`,
    load: load(args),
    metrics: [{ path: PER_CPU, label: "delivered/CPU-s", bounds: beside(0.85) }],
  });
  return [
    {
      name: "platform-sign-ins",
      title: `${count.toLocaleString("en")} devices sign in (hmacsha256), for the first time and again`,
      load: load(`--scenario conns --pubs ${count} --subs 0 --creds-file ${files.all}`),
      twice: true,
      metrics: [
        { path: "connects_per_cpu_s", label: "connects/CPU-s on a fresh broker", bounds: beside(0.7) },
        { path: "again.connects_per_cpu_s", label: "connects/CPU-s the second time", bounds: beside(0.7) },
        { path: "bytes_per_connection", label: "bytes/connection", better: "lower", bounds: [] },
      ],
    },
    ...[10, 100].flatMap((n) => [
      loop(n, "QoS 0 pipelined", "pipelined", "--qos 0 --window 10000"),
      loop(n, "QoS 1, 100 in flight", "pipelined", "--qos 1 --inflight 100"),
      loop(n, "QoS 0, one packet per write", "single", "--qos 0 --window 10000 --chunk 1"),
    ]),
    shared(
      "pairs",
      "QoS 0 pipelined, 10 pairs",
      `--scenario p2p --pubs 10 --subs 10 --creds-file ${files.pairs} --qos 0 --window 10000`,
    ),
    shared(
      "fan-in",
      "QoS 0 pipelined, fan-in 50→1",
      `--scenario p2p --pubs 50 --subs 1 --creds-file ${files.fanIn} --qos 0 --window 10000`,
    ),
    shared(
      "fan-out",
      "QoS 0 pipelined, fan-out 1→200",
      `--scenario p2p --pubs 1 --subs 200 --creds-file ${files.fanOut} --qos 0 --window 200`,
    ),
  ];
}
