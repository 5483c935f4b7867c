// The commands and their flags in one table: the parser, the help text and the suggestions all read it.

export interface Flag {
  readonly type: "string" | "boolean";
  readonly short?: string;
  readonly multiple?: boolean;
  /** Placeholder of the value in the help text. */
  readonly value?: string;
  readonly help: string;
}

export interface CommandTable {
  /** Positional arguments; one in brackets may be left out. */
  readonly positionals: readonly string[];
  readonly about: string;
  readonly flags: { readonly [name: string]: Flag };
}

const HELP: Flag = { type: "boolean", short: "h", help: "print this text" };
const DATA: Flag = { type: "string", value: "DIR", help: "data directory (default ./millrace-data)" };

export const COMMANDS = {
  start: {
    positionals: [],
    about: "Run the broker. The default command.",
    flags: {
      profile: {
        type: "string",
        value: "NAME",
        help: "platform (default): the rules of the Alibaba Cloud IoT Platform; standard: MQTT to the letter",
      },
      listen: {
        type: "string",
        multiple: true,
        value: "URL",
        help: "tcp:// tls:// ws:// wss:// auto:// HOST[:PORT] or unix:///PATH; repeatable; given once, only those open",
      },
      data: DATA,
      durability: {
        type: "string",
        value: "LEVEL",
        help: "an acknowledged message survives: power (default) loss of power; process: a crash; none: nothing",
      },
      anonymous: {
        type: "boolean",
        help: "standard profile: admit clients without credentials on every listener",
      },
      "log-level": { type: "string", value: "LEVEL", help: "debug, info (default), warn, error or silent" },
      config: { type: "string", value: "FILE", help: "configuration in YAML or JSON; flags win over it" },
      check: { type: "boolean", help: "validate flags and configuration, print the listeners, open nothing" },
      version: { type: "boolean", help: "print the version" },
      help: HELP,
    },
  },
  publish: {
    positionals: ["TOPIC", "PAYLOAD"],
    about: "Publish a message from the server's side through the running broker's control socket.",
    flags: {
      qos: { type: "string", short: "q", value: "N", help: "0 (default), 1 or 2" },
      retain: { type: "boolean", short: "r", help: "keep the message for later subscribers" },
      "user-property": {
        type: "string",
        multiple: true,
        value: "K=V",
        help: "user property; repeatable, order is kept",
      },
      "response-topic": { type: "string", value: "TOPIC", help: "where the answer is expected" },
      "correlation-data": { type: "string", value: "BASE64", help: "sent back with the answer" },
      "message-expiry": { type: "string", value: "SECONDS", help: "drop the message when it is older" },
      "content-type": {
        type: "string",
        value: "TYPE",
        help: "describes the payload, for instance application/json",
      },
      "payload-format": {
        type: "string",
        value: "N",
        help: "1: the payload is UTF-8 text; 0: unspecified bytes",
      },
      data: DATA,
      help: HELP,
    },
  },
  passwd: {
    positionals: ["FILE", "USER"],
    about: "Add a user to a password file, or give the user a new password.",
    flags: {
      delete: { type: "boolean", short: "D", help: "delete the user" },
      "password-stdin": { type: "boolean", help: "read the password from standard input, one line" },
      help: HELP,
    },
  },
  backup: {
    positionals: ["DIR"],
    about:
      "Copy sessions and messages, devices.json and the certificate to DIR, as of one moment; a broker may run.",
    flags: { data: DATA, help: HELP },
  },
  restore: {
    positionals: ["DIR"],
    about:
      "Put the backup in DIR (devices.json and certificate too) into a data directory that has no store.",
    flags: { data: DATA, help: HELP },
  },
  export: {
    positionals: ["[FILE]"],
    about: "Write sessions and messages, without devices.json, to FILE as JSON lines; a broker may run.",
    flags: { data: DATA, help: HELP },
  },
  import: {
    positionals: ["FILE"],
    about: "Read what export wrote, all or nothing, into a data directory that has no store; FILE may be -.",
    flags: { data: DATA, help: HELP },
  },
} as const satisfies Record<string, CommandTable>;

export type CommandName = keyof typeof COMMANDS;

export const EXIT_CODE_HELP = "Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration.";

/** The help text of one command; `start` introduces the others too. */
export function helpText(name: CommandName): string {
  const table: CommandTable = COMMANDS[name];
  const head = ["millrace", name === "start" ? "[start]" : name, ...table.positionals, "[flags]"].join(" ");
  const lines = [`Usage: ${head}`, "", table.about, "", ...flagLines(table.flags)];
  if (name === "start") {
    lines.push("", "Other commands (millrace COMMAND --help):");
    for (const [other, { about }] of Object.entries(COMMANDS)) {
      if (other !== "start") lines.push(`  ${other.padEnd(9)} ${about}`);
    }
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
