// The help texts, out of the table of commands. Nothing here knows what a command does.
import { COMMANDS, type CommandName, type CommandTable, commandsOf, GROUPS } from "./flags.ts";

const EXIT_CODE_HELP = "Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration.";

/** The help text of a group of commands. */
export function groupText(words: string): string {
  const lines = commandsOf(words).map((name) => {
    const { positionals, about }: CommandTable = COMMANDS[name];
    return `  millrace ${[name, ...positionals].join(" ")}\n      ${about}`;
  });
  const head = `Usage: millrace ${words} COMMAND [flags]`;
  return [head, "", ...lines, "", `millrace ${words} COMMAND --help lists flags.`, EXIT_CODE_HELP, ""].join(
    "\n",
  );
}

/** The help text of one command; `start` introduces the others too. */
export function helpText(name: CommandName): string {
  const table: CommandTable = COMMANDS[name];
  const head = ["millrace", name === "start" ? "[start]" : name, ...table.positionals, "[flags]"].join(" ");
  const lines = [`Usage: ${head}`, "", table.about, "", ...flagLines(table.flags)];
  if (name === "start") {
    lines.push("", "Other commands (millrace COMMAND --help):");
    for (const [other, { about }] of Object.entries(COMMANDS)) {
      if (other !== "start" && !other.includes(" ")) lines.push(`  ${other.padEnd(9)} ${about}`);
    }
    for (const [word, about] of Object.entries(GROUPS)) lines.push(`  ${word.padEnd(9)} ${about}`);
  }
  lines.push("", EXIT_CODE_HELP);
  return `${lines.join("\n")}\n`;
}

function flagLines(flags: CommandTable["flags"]): string[] {
  const left = Object.entries(flags).map(([name, flag]) => {
    const short = flag.short ? `-${flag.short}, ` : "    ";
    return `  ${short}--${name}${flag.value ? ` ${flag.value}` : ""}`;
  });
  const width = Math.max(...left.map((text) => text.length)) + 2;
  return Object.values(flags).map((flag, i) => left[i].padEnd(width) + flag.help);
}
