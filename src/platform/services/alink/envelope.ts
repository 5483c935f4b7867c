// The Alink request and reply around everything on `thing/…` topics: what a device asks, and what it is answered. SDKs look
// replies up by `id`, so it goes back as it came, with its JSON type. Knows nothing of what the params mean.
import {
  INVALID_JSON,
  isObject,
  type JsonObject,
  numberText,
  own,
  parseJson,
  plainObject,
} from "../../shared/json.ts";

export interface AlinkRequest {
  /** As sent: a text or a number; undefined where there is none. */
  readonly id: string | number | undefined;
  /** How a number stands in the request, where it holds more than a number of this language does. */
  readonly idText?: string;
  /** As sent; undefined where the device left it to the topic. */
  readonly method: string | undefined;
  readonly version: string | undefined;
  /** undefined: left out */
  readonly params: unknown;
  /** `sys.ack` 0 asks for no reply. */
  readonly wantsReply: boolean;
  /** The whole object, for what stands beside params. */
  readonly body: JsonObject;
}

export interface AlinkReply {
  readonly code: number;
  readonly data?: unknown;
  /** Default: the text that goes with the code. */
  readonly message?: string;
}

/** Levels of arrays and objects a request may have; deeper ones are no Alink. */
const MAX_ALINK_DEPTH = 32;

/** Characters of an id, method or version: they go back as they came. Longer ones count as left out. */
const MAX_ALINK_WORD = 1_024;

/** Meaning of the codes a reply can carry, as the platform's error table has them. */
export const ALINK_CODES: { readonly [code: number]: string } = {
  200: "success",
  400: "request error",
  401: "signature is wrong",
  427: "the sub-device logged in elsewhere",
  428: "too many sub-devices are online at this gateway",
  429: "too frequent",
  460: "request parameter error",
  500: "system error",
  520: "the sub-device has no session",
  521: "the device is deleted",
  522: "the device is disabled",
  5005: "product not found",
  6100: "device not found",
  6106: "too many properties in one post",
  6203: "the topic cannot be parsed",
  6204: "the device is disabled",
  6207: "the payload is not an Alink object",
  6250: "product not found",
  6287: "invalid sign",
  6288: "dynamic registration is off",
  6289: "the device is activated already",
  6292: "the sign method is not supported",
  6300: "the method is missing",
  6313: "the device service does not fit the thing model",
  6356: "too many events in one post",
  6357: "too many sub-devices in one post",
  6400: "too many sub-devices",
  6401: "there is no topology between gateway and sub-device",
  6402: "a gateway is no sub-device of itself",
  6600: "the signature is wrong",
  6619: "the device belongs to another gateway",
  6710: "there is no configuration",
};

/** Stands for what is no Alink object: it is answered all the same. */
export const UNPARSED: AlinkRequest = {
  id: "",
  method: undefined,
  version: undefined,
  params: undefined,
  wantsReply: true,
  body: {},
};

/** Counts messages that should be Alink objects and are not. */
export const MALFORMED_METRIC = "platform.alink_malformed";

/** What that answer is. */
export const MALFORMED: AlinkReply = { code: 6207 };

/** undefined: no Alink object. */
export function parseAlink(payload: Uint8Array): AlinkRequest | undefined {
  const body = parseJson(payload, MAX_ALINK_DEPTH);
  if (body === INVALID_JSON || !isObject(body)) return undefined;
  const id = own(body, "id");
  const method = own(body, "method");
  const version = own(body, "version");
  const sys = own(body, "sys");
  const ack = isObject(sys) ? own(sys, "ack") : undefined;
  return {
    ...(typeof id === "number" ? numberOf(id, payload) : { id: wordOf(id) }),
    // An empty one is what a gateway's login carries: it says nothing.
    method: wordOf(method) || undefined,
    version: wordOf(version),
    params: own(body, "params"),
    wantsReply: ack !== 0,
    body,
  };
}

/** A number is kept as the device wrote it: C has 64 bits of it, JSON.parse() 53. */
function numberOf(id: number, payload: Uint8Array): Pick<AlinkRequest, "id" | "idText"> {
  if (Number.isSafeInteger(id)) return { id };
  const idText = wordOf(numberText(payload, "id"));
  return idText === undefined ? { id: undefined } : { id, idText };
}

function wordOf(value: unknown): string | undefined {
  return typeof value === "string" && value.length <= MAX_ALINK_WORD ? value : undefined;
}

/**
 * Every field any client wants is there. The C reader searches the text for keys, so `data`, which may hold what
 * strangers wrote, stands last.
 */
export function alinkReply(
  request: Pick<AlinkRequest, "id" | "idText" | "version">,
  method: string,
  { code, data, message }: AlinkReply,
): string {
  const id = request.idText ?? JSON.stringify(request.id ?? "");
  const rest = plainObject<unknown>([
    ["message", message ?? ALINK_CODES[code] ?? "error"],
    ["method", method],
    ["version", request.version ?? "1.0"],
    ["data", data ?? {}],
  ]);
  return `{"code":${code},"id":${id},${JSON.stringify(rest).slice(1)}`;
}

/** In the run log alone: topic or method is none of the protocol. */
export const NOT_ALINK = 6831;

/** What stands behind `thing/` in the protocol, whether anybody here serves it or not. */
const FAMILIES = new Set([
  ...["awss", "bootstrap", "cipher", "config", "delete", "deviceinfo", "disable", "downlink", "dsltemplate"],
  ...["dynamicTsl", "enable", "event", "file", "gateway", "job", "lan", "lifecycle", "list", "log", "model"],
  ...["network", "ota", "property", "proxy", "reset", "service", "status", "sub", "topo"],
]);

/** The path of a topic `/sys/{pk}/{dn}/thing/…` that for certain is none of the protocol; undefined: it may be. */
export function foreignPath(topic: string): string | undefined {
  if (!topic.startsWith("/sys/")) return undefined;
  const [, , , , thing, family, ...rest] = topic.split("/");
  if (thing !== "thing") return undefined;
  return family !== undefined && rest.length > 0 && FAMILIES.has(family)
    ? undefined
    : topic.split("/").slice(4).join("/");
}

/** A method that for certain is none of the protocol: what is said on these topics begins with "thing.". */
export function isForeignMethod(method: string | undefined): boolean {
  return method !== undefined && !method.startsWith("thing.");
}

/** `thing/event/property/post` → `thing.event.property.post` */
export function methodOf(path: string): string {
  return path.replaceAll("/", ".");
}
