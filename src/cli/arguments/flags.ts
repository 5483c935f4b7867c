// The commands and their flags in one table: the parser, the help text (help-text.ts) and the suggestions all read it.

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

const JSON_FLAG: Flag = { type: "boolean", help: "print one JSON document" };
/** Of every command that works on products and devices. */
const COMMON = { json: JSON_FLAG, data: DATA, help: HELP } as const satisfies Record<string, Flag>;
const PRODUCT_FIELDS = {
  "product-secret": { type: "string", value: "PS", help: "1 to 128 characters" },
  name: { type: "string", value: "NAME", help: "4 to 30 characters (default: the ProductKey)" },
  "node-type": { type: "string", value: "TYPE", help: "device (default) or gateway" },
  auth: { type: "string", value: "TYPE", help: "secret (default) or x509" },
  "data-format": { type: "string", value: "FORMAT", help: "alink (default) or raw" },
  "dynamic-registration": { type: "boolean", help: "devices may register themselves (default: not)" },
  "free-topics": { type: "boolean", help: "devices may use topics of no class among each other" },
} as const satisfies Record<string, Flag>;

/** A command whose only arguments are the names of a device. */
function ofDevice(about: string) {
  return { positionals: ["PK", "DN"], about, flags: COMMON } as const;
}

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
        help: "tcp:// tls:// ws:// wss:// auto:// http:// https:// HOST[:PORT] or unix:///PATH; repeatable; given once, only those open",
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
      "rate-limits": {
        type: "string",
        value: "on|off",
        help: "platform profile: off lifts every rate, of connects, messages and calls; for tests (default on)",
      },
      instance: {
        type: "string",
        value: "TYPE",
        help: "platform profile: enterprise (default), or public, which has no MQTT 5.0",
      },
      "tls-min-version": {
        type: "string",
        value: "N",
        help: "lowest TLS version of every listener: 1.0, 1.1, 1.2 (default) or 1.3",
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
      "Copy sessions and messages, products and devices and the certificate to DIR, as of one moment; a broker may run.",
    flags: { data: DATA, help: HELP },
  },
  restore: {
    positionals: ["DIR"],
    about:
      "Put the backup in DIR (products, devices and certificate too) into a data directory that has no store.",
    flags: { data: DATA, help: HELP },
  },
  export: {
    positionals: ["[FILE]"],
    about:
      "Write sessions and messages, without products and devices, to FILE as JSON lines; a broker may run.",
    flags: { data: DATA, help: HELP },
  },
  import: {
    positionals: ["FILE"],
    about: "Read what export wrote, all or nothing, into a data directory that has no store; FILE may be -.",
    flags: { data: DATA, help: HELP },
  },
  "product create": {
    positionals: [],
    about: "Create a product; prints it. Key and secret are made where they are not given.",
    flags: {
      "product-key": { type: "string", value: "PK", help: "1 to 32 letters and digits" },
      ...PRODUCT_FIELDS,
      ...COMMON,
    },
  },
  "product list": {
    positionals: [],
    about: "List the products.",
    flags: COMMON,
  },
  "product show": {
    positionals: ["PK"],
    about: "Print a product, its secret too.",
    flags: COMMON,
  },
  "product update": {
    positionals: ["PK"],
    about: "Change a product; what is not given stays.",
    flags: {
      ...PRODUCT_FIELDS,
      "no-dynamic-registration": { type: "boolean", help: "devices may not register themselves" },
      "no-free-topics": { type: "boolean", help: "only topics of classes and of the system" },
      ...COMMON,
    },
  },
  "product delete": {
    positionals: ["PK"],
    about: "Delete a product.",
    flags: {
      "with-devices": { type: "boolean", help: "its devices too; without this only a product without any" },
      ...COMMON,
    },
  },
  "product topic add": {
    positionals: ["PK", "/user/SUFFIX", "PUB|SUB|ALL"],
    about: "Add a topic class to a product: its devices may publish (PUB), subscribe (SUB) or both (ALL).",
    flags: COMMON,
  },
  "product topic list": {
    positionals: ["PK"],
    about: "List the topic classes of a product.",
    flags: COMMON,
  },
  "product topic delete": {
    positionals: ["PK", "/user/SUFFIX"],
    about: "Delete a topic class of a product.",
    flags: COMMON,
  },
  "product model": {
    positionals: ["PK", "FILE"],
    about: "Give a product the thing model (TSL, JSON) in FILE.",
    flags: COMMON,
  },
  "device create": {
    positionals: ["PK", "DN"],
    about: "Create a device of product PK; prints it. The secret is made where none is given.",
    flags: {
      "device-secret": { type: "string", value: "DS", help: "1 to 128 characters" },
      nickname: { type: "string", value: "NAME", help: "4 to 64 characters" },
      ...COMMON,
    },
  },
  "device list": {
    positionals: ["PK"],
    about: "List the devices of a product with their status.",
    flags: COMMON,
  },
  "device show": ofDevice("Print a device, its secret too."),
  "device enable": ofDevice("Let a disabled device connect again."),
  "device disable": ofDevice("Disconnect a device and refuse it from now on; what is kept for it stays."),
  "device reset": ofDevice(
    "Disconnect a device and make it as it was before its first connection; its secret stays.",
  ),
  "device delete": ofDevice("Disconnect and delete a device with everything that is kept for it."),
  "device import": {
    positionals: ["FILE"],
    about:
      "Import devices, all or nothing; FILE may be -. CSV with a header line productKey,deviceName,deviceSecret" +
      "[,productSecret,nickname], or JSON lines with these names. A product that is not there is created.",
    flags: COMMON,
  },
  "device certificate": {
    positionals: ["PK", "DN"],
    about:
      "Make a client certificate for a device of a product with X.509 authentication, or bind one that is there.",
    flags: {
      out: { type: "string", value: "DIR", help: "where DN.key and DN.crt are written (default: here)" },
      bind: { type: "string", value: "CERT.pem", help: "bind this certificate instead of making one" },
      ...COMMON,
    },
  },
  "device subscribe": {
    positionals: ["PK", "DN"],
    about:
      "Subscribe topics for a device that is online at the running broker, as if it had; 1 where any is refused.",
    flags: {
      topic: { type: "string", multiple: true, value: "T", help: "a Topic Filter; repeatable, up to 10" },
      qos: { type: "string", value: "N", help: "0 or 1 (default 1)" },
      ...COMMON,
    },
  },
  "device unsubscribe": {
    positionals: ["PK", "DN"],
    about:
      "End subscriptions of a device that is online at the running broker, as if it had; 1 where any is refused.",
    flags: {
      topic: { type: "string", multiple: true, value: "T", help: "a Topic Filter; repeatable, up to 10" },
      ...COMMON,
    },
  },
  "device subscriptions": ofDevice(
    "Print what a device has subscribed at the running broker, or somebody for it, and since when.",
  ),
  "device export": {
    positionals: ["[PK]"],
    about: "Print the devices of product PK, or of all, as import reads them.",
    flags: COMMON,
  },
  rrpc: {
    positionals: ["PK", "DN", "PAYLOAD"],
    about:
      "Call a device of the running broker and print the bytes of its answer; else TIMEOUT, OFFLINE or HALFCONN, and 1.",
    flags: {
      topic: {
        type: "string",
        value: "T",
        help: "a topic of the device's own, for devices that take such calls",
      },
      timeout: { type: "string", value: "MS", help: "how long to wait, 1000 to 8000 (default 5000)" },
      ...COMMON,
    },
  },
  "shadow get": ofDevice("Print the shadow of a device."),
  "shadow update": {
    positionals: ["PK", "DN", "JSON"],
    about:
      'Change the shadow of a device: {"method":"update","state":{"desired":{…}},"version":N}. The device is told where it' +
      " is online or has a session that subscribes it; else it asks when it comes.",
    flags: COMMON,
  },
  upstream: {
    positionals: [],
    about:
      "Follow what devices of the running broker send to the business side: a line of JSON each, with every 5.0 property.",
    flags: {
      product: { type: "string", value: "PK", help: "only devices of this product" },
      count: { type: "string", value: "N", help: "end after so many (default: never)" },
      json: { type: "boolean", help: "a line of JSON each, as always" },
      data: DATA,
      help: HELP,
    },
  },
  log: {
    positionals: [],
    about:
      "Search the run log of devices: why one was disconnected, what became of its messages; a broker may run.",
    flags: {
      device: { type: "string", value: "PK/DN", help: "of this device" },
      product: { type: "string", value: "PK", help: "of this product" },
      code: { type: "string", value: "N", help: "with this code; 200 is success" },
      failures: { type: "boolean", help: "no successes" },
      "message-id": { type: "string", value: "ID", help: "of this message" },
      "trace-id": { type: "string", value: "ID", help: "of everything a message or call has caused" },
      keyword: { type: "string", value: "TEXT", help: "somewhere in operation or content" },
      since: {
        type: "string",
        value: "TIME",
        help: "a span (30s, 10m, 2h, 7d) or a time (2026-01-31T12:00:00Z)",
      },
      limit: { type: "string", value: "N", help: "the newest so many (default 1000, at most 10000)" },
      follow: { type: "boolean", short: "f", help: "go on with what is new" },
      json: { type: "boolean", help: "print one JSON document; with --follow a line each" },
      data: DATA,
      help: HELP,
    },
  },
} as const satisfies Record<string, CommandTable>;

export type CommandName = keyof typeof COMMANDS;

/** First words of commands that have two or three. */
export const GROUPS: { readonly [word: string]: string } = {
  product: "Products of the platform profile: create, list, show, update, delete, topic, model",
  shadow: "Device shadows: get, update",
  device:
    "Their devices: create, list, show, enable, disable, reset, delete, certificate, import, export, subscribe, unsubscribe, subscriptions",
};

/** The commands that begin with these words. */
export function commandsOf(words: string): CommandName[] {
  return (Object.keys(COMMANDS) as CommandName[]).filter((name) => name.startsWith(`${words} `));
}
