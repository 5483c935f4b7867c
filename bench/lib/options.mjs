// Options common to the commands of this folder; the environment gives the defaults of locations.
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

export const usage = `  --only NAME[,NAME]     scenarios or micro benches to run (part of a name is enough)
  --peers A,B            engines to compare with
  --runs N               runs of each cell (3; where p99 is asked for 5)
  --duration S           seconds of a run (2)
  --quick                one run of one second
  --pin                  broker on the first core, load generator on the second (needs taskset)
  --mqload PATH          load generator in C (MQLOAD); without it the one in bench/load/ is used
  --mosquitto PATH       (MOSQUITTO, else from PATH)
  --flashmq PATH         (FLASHMQ, else from PATH)
  --relay PATH           another relay with the arguments of peers/relay-server.mjs (RELAY)
  --aedes-level FOLDER   where \`npm i aedes aedes-persistence-level level\` was run (AEDES_LEVEL)`;

const number = (text, name) => {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} wants a positive number, not ${text}`);
  return value;
};
const list = (text) => text?.split(",").filter(Boolean);

export function readOptions(argv) {
  const string = { type: "string" };
  const { values } = parseArgs({
    args: argv,
    options: {
      only: string,
      peers: string,
      runs: string,
      duration: string,
      mqload: string,
      mosquitto: string,
      flashmq: string,
      relay: string,
      "aedes-level": string,
      quick: { type: "boolean" },
      pin: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  const { env } = process;
  return {
    only: list(values.only),
    peers: list(values.peers),
    quick: values.quick ?? false,
    pin: values.pin ?? false,
    help: values.help ?? false,
    runs: values.runs ? number(values.runs, "runs") : undefined,
    duration: number(values.duration ?? (values.quick ? "1" : "2"), "duration"),
    mqload: values.mqload ?? env.MQLOAD,
    mosquitto: values.mosquitto ?? env.MOSQUITTO ?? "mosquitto",
    flashmq: values.flashmq ?? env.FLASHMQ ?? "flashmq",
    relay: values.relay ?? env.RELAY,
    aedesLevel: values["aedes-level"] ?? env.AEDES_LEVEL,
  };
}

/**
 * Where the module at `url` is the program that was started, named `path`: runs `bench` with its options, which tells of every
 * run, and prints what `report` makes of the outcome.
 */
export async function runAsProgram(url, path, bench, report) {
  if (url !== pathToFileURL(process.argv[1]).href) return;
  const options = readOptions(process.argv.slice(2));
  if (options.help) console.log(`node ${path} [options]\n${usage}`);
  else console.log(report(await bench(options, (line) => console.error(line))));
}
