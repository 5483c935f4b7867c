// Entries of the run log: the entry itself, the note it is made from, and its form as a line of JSON. Keeping and finding
// entries is the business of run-log.ts.
import type { UserProperty } from "../../protocol/properties.ts";
import type { DeviceId } from "../names/user-name.ts";
import { fixed, type LineBuffer } from "./line-buffer.ts";

/** [LOG-1] */
export type BusinessType =
  | "device behaviour"
  | "device-to-cloud message"
  | "cloud-to-device message"
  | "subscribe"
  | "unsubscribe"
  | "API call"
  | "server-side subscription"
  | "rule engine"
  | "thing model check"
  | "thing model data"
  | "thing model service call"
  | "device shadow"
  | "topology"
  | "OTA"
  | "remote configuration"
  | "data parsing"
  | "other";

/** Codes of entries; 200 is success. A service may give others, those of its answers. */
export const LogCode = {
  success: 200,
  requestFailed: 400,
  subscriptionForbidden: 403,
  tooFrequent: 429,
  parameter: 460,
  disabled: 522,
  congestion: 1901,
  topicFormat: 1903,
  strayAnswer: 1904,
  rrpcTimeout: 1905,
  connectionException: 1950,
  invalidSign: 6287,
  notAlink: 6831,
  offline: 9201,
  topicForbidden: 9236,
  payload: 9320,
  parameters: 9321,
  throttled: 9324,
  internal: 9399,
} as const;

export interface RunLogContent {
  /** Why it failed. */
  readonly Message?: string;
  readonly Params?: { readonly [name: string]: unknown };
  readonly ResultData?: { readonly [name: string]: unknown };
  /** Of a 5.0 CONNECT or PUBLISH, in their order [LOG-2]. */
  readonly UserProperties?: readonly UserProperty[];
  /** Events that were not written one by one. */
  readonly Omitted?: number;
}

/** What a caller hands in: the log adds time, number and what else is missing. Payloads and secrets do not belong here. */
export interface RunLogNote {
  readonly device: DeviceId;
  readonly businessType: BusinessType;
  /** `online`, `offline`, a topic, the name of a call. */
  readonly operation: string;
  /** Default 200. */
  readonly status?: number;
  readonly content?: RunLogContent;
  /** Instead of `content`, from a caller who knows that it holds no secret: not searched for any, which saves time at sign-ins. */
  readonly told?: ToldContent;
  readonly messageId?: string;
  /** Default: the message id. */
  readonly traceId?: string;
  /** ms since the epoch. Default: now. */
  readonly time?: number;
}

/** Content that is JSON text already, or that writes itself as JSON. */
export type ToldContent = string | WrittenContent;

export interface WrittenContent {
  writeTo(buffer: LineBuffer): void;
}

export interface RunLogEntry {
  /** Counts up with each entry, across restarts. */
  readonly id: number;
  /** ms since the epoch */
  readonly time: number;
  /** The same for all entries one message or call causes. */
  readonly traceId: string;
  readonly messageId: string;
  readonly productKey: string;
  readonly deviceName: string;
  readonly businessType: BusinessType;
  readonly operation: string;
  readonly status: number;
  readonly content: RunLogContent;
}

/** All that a service needs of the log. Never throws, costs little where the device has had its entries of the second. */
export interface RunLogWriter {
  write(note: RunLogNote): void;
}

const SECRET = /secret|passw|token|sign(ature|Data)?$/i;
const MAX_DEPTH = 8;

/** An entry without its content, which putEntry() is given apart. */
export type EntryHead = Omit<RunLogEntry, "content">;

const ID = fixed('{"id":');
const TIME = fixed(',"time":');
const TRACE = fixed(',"traceId":');
const MESSAGE = fixed(',"messageId":');
const PRODUCT = fixed(',"productKey":');
const DEVICE = fixed(',"deviceName":');
const TYPE = fixed(',"businessType":');
const OPERATION = fixed(',"operation":');
const STATUS = fixed(',"status":');
const CONTENT = fixed(',"content":');
const END = fixed("}");

/** Writes the entry as JSON.stringify() would. Above `maxBytes` its content is replaced by a short one that says so. */
export function putEntry(buffer: LineBuffer, entry: EntryHead, content: ToldContent, maxBytes: number): void {
  const from = buffer.used;
  putWhole(buffer, entry, content);
  const length = buffer.used - from;
  if (length <= maxBytes) return;
  buffer.cutTo(from);
  putWhole(buffer, entry, shortened(content, length));
}

function putWhole(buffer: LineBuffer, entry: EntryHead, content: ToldContent): void {
  buffer.put(ID);
  buffer.putNumber(entry.id);
  buffer.put(TIME);
  buffer.putNumber(entry.time);
  buffer.put(TRACE);
  buffer.putString(entry.traceId);
  buffer.put(MESSAGE);
  buffer.putString(entry.messageId);
  buffer.put(PRODUCT);
  buffer.putString(entry.productKey);
  buffer.put(DEVICE);
  buffer.putString(entry.deviceName);
  buffer.put(TYPE);
  buffer.putString(entry.businessType);
  buffer.put(OPERATION);
  buffer.putString(cut(entry.operation, 1_024));
  buffer.put(STATUS);
  buffer.putNumber(entry.status);
  buffer.put(CONTENT);
  if (typeof content === "string") buffer.putText(content);
  else content.writeTo(buffer);
  buffer.put(END);
}

function shortened(content: ToldContent, length: number): string {
  const { Message } = typeof content === "string" ? (JSON.parse(content) as RunLogContent) : {};
  const rest: RunLogContent & { readonly Truncated: number } = {
    ...(Message !== undefined && { Message: cut(Message, 1_024) }),
    Truncated: length,
  };
  return JSON.stringify(rest);
}

/** The content as JSON, without what is called a secret. */
export function contentText(content: RunLogContent): string {
  return JSON.stringify(tellsNoSecret(content, 0) ? content : withoutSecrets(content, 0));
}

/** Printable ASCII that stands in JSON as it is. */
const PLAIN = /^[ !#-[\]-~]*$/;

/** The text as JSON. */
export function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}

export function parseEntry(line: string): RunLogEntry | undefined {
  try {
    const entry = JSON.parse(line) as RunLogEntry;
    return typeof entry?.id === "number" && typeof entry.time === "number" ? entry : undefined;
  } catch {
    return undefined; // cut off by a crash
  }
}

export function cut(text: string, characters: number): string {
  return text.length <= characters ? text : `${text.slice(0, characters)}…`;
}

/** Nearly always true, and then nothing needs to be copied. */
function tellsNoSecret(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (depth >= MAX_DEPTH) return false;
  if (Array.isArray(value)) return value.every((item) => tellsNoSecret(item, depth + 1));
  for (const name of Object.keys(value)) {
    const item: unknown = (value as { readonly [name: string]: unknown })[name];
    if (SECRET.test(name) && item !== undefined) return false;
    if (!tellsNoSecret(item, depth + 1)) return false;
  }
  return true;
}

/** A copy in which secrets are starred out, should a caller have handed one in. */
function withoutSecrets(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (depth >= MAX_DEPTH) return "…";
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      SECRET.test(name) && item !== undefined ? "***" : withoutSecrets(item, depth + 1),
    ]),
  );
}
