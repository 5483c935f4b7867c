// The language of the control socket: one JSON object a line, requests and responses, each with the version. Bytes are
// Base64. Parsing is strict, because whoever may open the socket may have written anything.
import { isAbsolute } from "node:path";
import type { Properties } from "../../protocol/properties.ts";

const CONTROL_VERSION = 1;
/** Longest line either side accepts, bytes without the line feed. */
export const MAX_LINE_BYTES = 1_048_576;

/** An object of which nothing is known yet. */
export type JsonObject = { readonly [key: string]: unknown };

export interface ControlMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly properties: Properties;
}

export type ControlOperation =
  | { readonly operation: "publish"; readonly message: ControlMessage }
  /** Writes a backup to `directory`, an absolute path, as the broker's user. */
  | { readonly operation: "backup"; readonly directory: string }
  /** One of the calls of registry-calls.ts, which checks `given`. */
  | { readonly operation: "registry"; readonly call: string; readonly given: object }
  /** One of the calls of platform-calls.ts. */
  | { readonly operation: "platform"; readonly call: string; readonly given: object }
  /** One of its feeds: answered by its items one by one, each with `more`, and a last answer without. */
  | { readonly operation: "follow"; readonly feed: string; readonly given: object };

export type ControlRequest = ControlOperation & { readonly id: number };

export type ControlResponse =
  | { readonly id: number; readonly ok: true; readonly result?: unknown; readonly more?: true }
  /** `id` is 0 where the request had none that could be read. */
  | { readonly id: number; readonly ok: false; readonly code: string; readonly message: string };

/** A request that is refused without asking the broker. */
export class RequestRefusal extends Error {
  override readonly name = "RequestRefusal";
  readonly code: "BAD_REQUEST" | "UNSUPPORTED_VERSION" | "LINE_TOO_LONG";
  readonly id: number;
  constructor(code: RequestRefusal["code"], id: number, message: string) {
    super(message);
    this.code = code;
    this.id = id;
  }
}

export function encodeRequest(request: ControlRequest): string {
  const { operation, id } = request;
  const head = { v: CONTROL_VERSION, id, operation };
  if (request.operation === "backup") return `${JSON.stringify({ ...head, directory: request.directory })}\n`;
  if (request.operation === "follow")
    return `${JSON.stringify({ ...head, feed: request.feed, given: request.given })}\n`;
  if (request.operation === "registry" || request.operation === "platform")
    return `${JSON.stringify({ ...head, call: request.call, given: request.given })}\n`;
  const { topic, payload, qos, retain, properties } = request.message;
  const correlationData = properties.correlationData && toBase64(properties.correlationData);
  // JSON leaves out what is undefined.
  const body = {
    topic,
    payload: toBase64(payload),
    qos,
    retain,
    properties: { ...properties, correlationData },
  };
  return `${JSON.stringify({ ...head, message: body })}\n`;
}

export function encodeResponse(response: ControlResponse): string {
  return `${JSON.stringify({ v: CONTROL_VERSION, ...response })}\n`;
}

export function parseRequest(line: string): ControlRequest {
  const value = parseObject(line);
  const id =
    value && typeof value.id === "number" && Number.isSafeInteger(value.id) && value.id > 0 ? value.id : 0;
  const bad = (message: string) => new RequestRefusal("BAD_REQUEST", id, message);
  if (!value) throw bad("a request is a JSON object on one line");
  if (value.v !== CONTROL_VERSION) {
    const message = `version ${JSON.stringify(value.v)} is not spoken here, only ${CONTROL_VERSION}`;
    throw new RequestRefusal("UNSUPPORTED_VERSION", id, message);
  }
  if (id === 0) throw bad("id is a whole number from 1");
  if (value.operation === "backup") return { id, operation: "backup", directory: parseDirectory(value, bad) };
  if (value.operation === "registry" || value.operation === "platform") {
    const { operation, call, given } = value;
    if (typeof call !== "string" || !isObject(given)) throw bad("call is a string, given an object");
    return { id, operation, call, given };
  }
  if (value.operation === "follow") {
    const { feed, given } = value;
    if (typeof feed !== "string" || !isObject(given)) throw bad("feed is a string, given an object");
    return { id, operation: "follow", feed, given };
  }
  if (value.operation !== "publish") throw bad(`there is no operation ${JSON.stringify(value.operation)}`);
  const message = value.message;
  if (!isObject(message)) throw bad("message is missing");
  refuseUnknown(message, ["topic", "payload", "qos", "retain", "properties"], "message", bad);
  const { topic, qos = 0, retain = false } = message;
  if (typeof topic !== "string") throw bad("message.topic is a string");
  if (qos !== 0 && qos !== 1 && qos !== 2) throw bad("message.qos is 0, 1 or 2");
  if (typeof retain !== "boolean") throw bad("message.retain is true or false");
  const payload = fromBase64(message.payload ?? "", "message.payload", bad);
  const properties = parseProperties(message.properties ?? {}, bad);
  return { id, operation: "publish", message: { topic, payload, qos, retain, properties } };
}

export function parseResponse(line: string): ControlResponse | undefined {
  const value = parseObject(line);
  if (value?.v !== CONTROL_VERSION || typeof value.id !== "number") return undefined;
  if (value.ok === true) {
    const { id, result, more } = value;
    return { id, ok: true, result, ...(more === true && { more }) };
  }
  if (typeof value.code !== "string" || typeof value.message !== "string") return undefined;
  return { id: value.id, ok: false, code: value.code, message: value.message };
}

type Bad = (message: string) => RequestRefusal;
function parseDirectory({ directory }: JsonObject, bad: Bad): string {
  if (typeof directory !== "string" || !isAbsolute(directory) || directory.includes("\0"))
    throw bad("directory is an absolute path");
  return directory;
}

function parseProperties(value: unknown, bad: Bad): Properties {
  if (!isObject(value)) throw bad("message.properties is an object");
  const texts = ["contentType", "responseTopic"] as const;
  const known = [
    "payloadFormatIndicator",
    "messageExpiryInterval",
    "correlationData",
    "userProperties",
    ...texts,
  ];
  refuseUnknown(value, known, "message.properties", bad);
  const properties: Properties = {};
  for (const name of texts) {
    const text = value[name];
    if (text === undefined) continue;
    if (typeof text !== "string") throw bad(`message.properties.${name} is a string`);
    properties[name] = text;
  }
  const { payloadFormatIndicator, messageExpiryInterval, correlationData, userProperties } = value;
  if (payloadFormatIndicator !== undefined) {
    if (payloadFormatIndicator !== 0 && payloadFormatIndicator !== 1)
      throw bad("payloadFormatIndicator is 0 or 1");
    properties.payloadFormatIndicator = payloadFormatIndicator;
  }
  if (messageExpiryInterval !== undefined) {
    const seconds = messageExpiryInterval;
    if (typeof seconds !== "number" || !Number.isInteger(seconds) || seconds < 0 || seconds > 0xffff_ffff) {
      throw bad("messageExpiryInterval is a whole number of seconds, 0 to 4294967295");
    }
    properties.messageExpiryInterval = seconds;
  }
  if (correlationData !== undefined)
    properties.correlationData = fromBase64(correlationData, "correlationData", bad);
  if (userProperties !== undefined) {
    if (!Array.isArray(userProperties) || !userProperties.every(isPair)) {
      throw bad("userProperties is a list of [key, value]");
    }
    properties.userProperties = userProperties;
  }
  return properties;
}

function refuseUnknown(value: JsonObject, known: readonly string[], path: string, bad: Bad): void {
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) throw bad(`${path}.${key} is unknown`);
  }
}

function isPair(value: unknown): value is [string, string] {
  return Array.isArray(value) && value.length === 2 && value.every((text) => typeof text === "string");
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseObject(line: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

function fromBase64(text: unknown, path: string, bad: Bad): Uint8Array {
  if (typeof text !== "string" || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
    throw bad(`${path} is Base64`);
  }
  return Buffer.from(text, "base64");
}
