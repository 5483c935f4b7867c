// Runs all benches, prints one report and keeps it under record/. usage: node bench/run.mjs [options]
import { durableTables, runDurable } from "./durable/index.mjs";
import { usage as commonUsage, readOptions } from "./lib/options.mjs";
import { describeRun, writeRecord } from "./lib/record.mjs";
import { macroNotes, macroTable, runMacro } from "./macro.mjs";
import { platformTables, runPlatform } from "./platform/index.mjs";
import { microTables, runMicro } from "./micro/index.mjs";

const LEGEND = `Medians of several runs, each against a fresh broker; ± is half the distance between the best and the worst run.
delivered/CPU-s: messages delivered for each second of the broker's CPU time. ✓ the required ratio is reached,
✓✓ the goal too, ✗ it is not.`;

function report(run, { macro, durable, platform, micro }) {
  const { machine, versions } = run;
  const list = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const generators =
    [...new Set([...macro.results, ...durable.results, ...platform.results].map(({ tool }) => tool))].join(
      ", ",
    ) || "none";
  const notes = [
    macroNotes(macro),
    macroNotes(durable),
    macroNotes(platform),
    ...micro.missing.map((line) => `- ${line}`),
  ]
    .filter(Boolean)
    .join("\n");
  const parts = [
    `# Millrace ${versions.millrace ?? "(not built)"}, ${run.date}`,
    [
      `- command: \`${run.command}\`, revision ${run.revision}`,
      `- machine: ${machine.model}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}`,
      `- versions: ${list.join(", ")}`,
      `- load generator: ${generators}`,
    ].join("\n"),
    LEGEND,
  ];
  if (macro.results.length) parts.push("## Brokers", macroTable(macro));
  const kept = durableTables(durable);
  if (kept) parts.push("## Brokers that keep messages on disk", kept);
  const ofPlatform = platformTables(platform);
  if (ofPlatform) parts.push("## The platform profile, rates lifted", ofPlatform);
  if (micro.sections.length) parts.push("## Core", microTables(micro));
  if (notes) parts.push("## Left out or failed", notes);
  return `${parts.join("\n\n")}\n`;
}

async function main(argv) {
  const options = readOptions(argv);
  if (options.help) return console.log(`node bench/run.mjs [options]\n${commonUsage}`);
  const log = (line) => console.error(line);
  const micro = await runMicro(options, log);
  const macro = await runMacro(options, log);
  const durable = await runDurable(options, log);
  const platform = await runPlatform(options, log);
  const measured = [macro.results, durable.results, durable.recorded, platform.results, micro.sections];
  if (measured.every((list) => list.length === 0) && platform.rrpc === undefined)
    throw new Error("no bench has such a name");
  // The levels are Millrace's own.
  const { memory: _memory, process: _process, power: _power, ...others } = durable.versions;
  const run = describeRun(argv, { ...others, ...macro.versions });
  const markdown = report(run, { macro, durable, platform, micro });
  console.log(markdown);
  const kept = ({ versions: _, ...rest }) => rest;
  const { scenarios: _scenarios, ...ofPlatform } = kept(platform);
  const data = { macro: kept(macro), durable: kept(durable), platform: ofPlatform, micro: micro.sections };
  log(`kept as ${writeRecord(run, markdown, data)}`);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
