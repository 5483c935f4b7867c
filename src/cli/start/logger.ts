// The command line's logger: pino behind the broker's Logger interface. JSON lines for machines, one readable line per
// entry on a terminal. Writes to standard error, so that standard output carries only what the user asked for.
// Secrets are never logged: fields with such names are cut out, however deep the caller's object puts them (two levels).
import pino from "pino";
import type { Logger } from "../../logger.ts";
import type { LogLevel } from "../arguments/arguments.ts";

const SECRET_FIELDS = [
  "password",
  "secret",
  "deviceSecret",
  "productSecret",
  "token",
  "key",
  "correlationData",
];
/** Log bytes kept while the reader of the log is slow; beyond it entries are dropped. */
const MAX_PENDING_BYTES = 4_194_304;

export interface CliLogger extends Logger {
  setLevel(level: LogLevel): void;
  /** Writes what is pending, for the end of the process. */
  flush(): void;
}

export interface LogOutput {
  write(line: string): unknown;
}

/** `output` defaults to standard error; `pretty` to whether that is a terminal. */
export function createLogger(
  level: LogLevel,
  output?: LogOutput,
  pretty = output ? false : process.stderr.isTTY,
): CliLogger {
  const destination = output
    ? undefined
    : pino.destination({ dest: 2, sync: false, maxLength: MAX_PENDING_BYTES });
  const sink: LogOutput = output ?? (destination as LogOutput);
  const log = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), remove: true },
    },
    pretty ? { write: (line: string) => sink.write(formatEntry(line)) } : sink,
  );
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
    setLevel(next) {
      log.level = next;
    },
    flush() {
      try {
        destination?.flushSync();
      } catch {
        // The reader of the log has gone; there is nobody left to tell.
      }
    },
  };
}

/** `12:00:01.250 info  client connected  client=a/b` out of pino's JSON. */
function formatEntry(line: string): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as { level: string; time: string; msg?: string };
  const pairs = Object.entries(fields).map(([name, value]) => `${name}=${formatValue(value)}`);
  const clock = time.slice(11, 23);
  return `${printable([`${clock} ${level.padEnd(5)} ${msg ?? ""}`.trimEnd(), ...pairs].join("  "))}\n`;
}

/** A client chooses its names; no control character of theirs may reach the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

function formatValue(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value);
  return /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value);
}
