// A load generator and delivery checker in JavaScript. It is slower than a broker may be: the figure it is made for
// is the broker's work per CPU second, not the wall clock. Exit status: 0 correct, 1 something was lost, duplicated,
// reordered or altered, 2 could not run.
import { parseArgs } from "node:util";
import { runScenario, SCENARIOS } from "./load/scenarios.mjs";

const usage = `node bench/load.mjs --scenario ${SCENARIOS.join("|")} [options]
  --host A --port N --tls            broker (127.0.0.1, 1883); any certificate is accepted
  --proto 3.1.1|5 --sub-proto V      MQTT version, and the subscribers' if it is another one
  --pubs P --subs S --topics T       counts; conns: P bare connections
  --qos 0|1|2 --size BYTES           payload >= 16 (64)
  --duration S --warmup S            5, 1; conns: how long to hold
  --rate R                           messages a second in total (0: as fast as possible)
  --inflight W                       QoS 1/2 window of a publisher (100)
  --window K                         messages published and not yet delivered, in total (0: no limit)
  --chunk BYTES                      of one write; 1: a packet per write (65536)
  --messages M                       store: for each session (1000)
  --broker-pid PID                   report the broker's CPU time and memory (Linux)
  --persistent                       subscribers keep their sessions
  --creds-file FILE                  clients of their own, see load/credentials.mjs (p2p, conns)
  --client-prefix S --json`;

const defaults = {
  host: "127.0.0.1",
  port: "1883",
  proto: "3.1.1",
  qos: "0",
  size: "64",
  duration: "5",
  warmup: "1",
  rate: "0",
  inflight: "100",
  window: "0",
  chunk: "65536",
  messages: "1000",
  "client-prefix": "load-",
};

function readArguments(argv) {
  const names = [
    ...Object.keys(defaults),
    "sub-proto",
    "scenario",
    "pubs",
    "subs",
    "topics",
    "broker-pid",
    "creds-file",
  ];
  const options = Object.fromEntries(
    names.map((name) => [name, { type: "string", default: defaults[name] }]),
  );
  for (const flag of ["tls", "json", "persistent", "help"])
    options[flag] = { type: "boolean", default: false };
  const { values } = parseArgs({ args: argv, options });
  const whole = (name, least, most = 1e9) => {
    if (values[name] === undefined) return undefined;
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < least || value > most)
      throw new Error(`--${name} ${values[name]}?`);
    return value;
  };
  const level = (name) => {
    if (values[name] === undefined) return undefined;
    if (values[name] !== "3.1.1" && values[name] !== "5") throw new Error(`--${name} 3.1.1 or 5`);
    return values[name] === "5" ? 5 : 4;
  };
  if (!values.help && !SCENARIOS.includes(values.scenario)) throw new Error(usage);
  return {
    help: values.help,
    json: values.json,
    tls: values.tls,
    persistent: values.persistent,
    credentials: values["creds-file"],
    scenario: values.scenario,
    host: values.host,
    prefix: values["client-prefix"],
    proto: level("proto"),
    subProto: level("sub-proto"),
    port: whole("port", 1, 65535),
    qos: whole("qos", 0, 2),
    size: whole("size", 16, 1 << 24),
    pubs: whole("pubs", 0, 60_000),
    subs: whole("subs", 0, 60_000),
    topics: whole("topics", 1),
    rate: whole("rate", 0) || (values.scenario === "latency" ? 1000 : 0),
    inflight: whole("inflight", 1, 65535),
    window: whole("window", 0),
    chunk: whole("chunk", 1),
    messages: whole("messages", 1),
    brokerPid: whole("broker-pid", 1),
    duration: Number(values.duration),
    warmup: Number(values.warmup),
  };
}

async function main() {
  const options = readArguments(process.argv.slice(2));
  if (options.help) return console.log(usage);
  const result = await runScenario(options);
  const report = {
    generator: "load.mjs",
    scenario: options.scenario,
    qos: options.qos,
    size: options.size,
    ...result,
  };
  console.log(options.json ? JSON.stringify(report) : report);
  process.exitCode = report.ok ? 0 : 1;
}

main().catch((error) => {
  console.error(`load: ${error.message}`);
  process.exitCode = 2;
});
