// The shadow of one device as a value: what a request makes of it, or the code of what is wrong with the request
// [SHADOW-1], [SHADOW-2]. Pure: no clock, no store, no messages; see shadow.ts for those.
import { depthOf, isObject, type JsonObject, own, plainObject } from "../../shared/json.ts";

type Values = Readonly<Record<string, unknown>>;
/** Seconds since the epoch at which a property was set; of an object, those of its properties. */
interface Stamps {
  readonly [key: string]: { readonly timestamp: number } | Stamps;
}

export interface ShadowDocument {
  readonly reported: Values;
  readonly desired: Values;
  readonly reportedAt: Stamps;
  readonly desiredAt: Stamps;
  /** Of the last accepted update; any whole number a device sends, milliseconds among them. */
  readonly version: number;
  /** s since the epoch */
  readonly timestamp: number;
}

export interface ShadowLimits {
  /** Of the whole document as JSON, bytes. */
  readonly maxBytes: number;
  readonly maxDepth: number;
  /** Of reported and of desired, each. */
  readonly maxProperties: number;
}

export const EMPTY_SHADOW: ShadowDocument = {
  reported: plainObject(),
  desired: plainObject(),
  reportedAt: plainObject(),
  desiredAt: plainObject(),
  version: 0,
  timestamp: 0,
};

export const SHADOW_ERRORS = {
  400: "invalid JSON",
  401: "the method is missing",
  402: "state is missing",
  403: "version is not a number",
  404: "reported is missing",
  405: "reported is empty",
  406: "the method is not known",
  407: "the content is empty",
  408: "more properties or more bytes than a shadow may have",
  409: "the version is not greater than that of the shadow",
  500: "the shadow could not be kept",
} as const;

export type ShadowError = keyof typeof SHADOW_ERRORS;

/** What a device or the server side wants: state with reported, desired, or both; "null" as a text clears. */
export interface ShadowRequest {
  readonly method: "update" | "delete";
  readonly state: unknown;
  readonly version: unknown;
}

/** The document after the request, or the code of what is wrong with it. `now`: s since the epoch. */
export function applyToShadow(
  document: ShadowDocument,
  { method, state, version }: ShadowRequest,
  now: number,
  limits: ShadowLimits,
): ShadowDocument | ShadowError {
  if (!isObject(state)) return 402;
  const reported = own(state, "reported");
  const desired = own(state, "desired");
  if (reported === undefined && desired === undefined) return 404;
  if (!Number.isSafeInteger(version)) return 403;
  const next = version as number;
  // -1 begins anew at 0 whatever was there.
  if (next < -1 || (next >= 0 && next <= document.version && document.timestamp !== 0)) return 409;
  const sides = { ...document };
  for (const [side, at, wanted] of [
    ["reported", "reportedAt", reported],
    ["desired", "desiredAt", desired],
  ] as const) {
    if (wanted === undefined) continue;
    const changed =
      method === "update"
        ? merge(document[side], document[at], wanted, now)
        : without(document[side], document[at], wanted);
    if (typeof changed === "number") return changed;
    Object.assign(sides, { [side]: changed.values, [at]: changed.stamps });
  }
  if (countOf(sides.reported) > limits.maxProperties || countOf(sides.desired) > limits.maxProperties)
    return 408;
  if (depthOf(sides.reported) > limits.maxDepth || depthOf(sides.desired) > limits.maxDepth) return 400;
  const changed: ShadowDocument = { ...sides, version: next === -1 ? 0 : next, timestamp: now };
  return Buffer.byteLength(JSON.stringify(shadowState(changed))) > limits.maxBytes ? 408 : changed;
}

/** `state` as it goes over the wire; a side that is empty is left out. */
export function shadowState({ reported, desired }: ShadowDocument): JsonObject {
  return sidesOf(reported, desired);
}

export function shadowMetadata({ reportedAt, desiredAt }: ShadowDocument): JsonObject {
  return sidesOf(reportedAt, desiredAt);
}

function sidesOf(reported: object, desired: object): JsonObject {
  return {
    ...(Object.keys(reported).length > 0 ? { reported } : {}),
    ...(Object.keys(desired).length > 0 ? { desired } : {}),
  };
}

interface Side {
  readonly values: Values;
  readonly stamps: Stamps;
}

/** Properties are replaced one by one; the others stay. */
function merge(values: Values, stamps: Stamps, wanted: unknown, now: number): Side | ShadowError {
  if (wanted === "null" || wanted === null) return { values: plainObject(), stamps: plainObject() };
  if (!isObject(wanted)) return 404;
  const names = Object.keys(wanted);
  if (names.length === 0) return 405;
  const mergedValues = plainObject(Object.entries(values));
  const mergedStamps = plainObject(Object.entries(stamps));
  for (const name of names) {
    mergedValues[name] = wanted[name];
    mergedStamps[name] = stampsOf(wanted[name], now);
  }
  return { values: mergedValues, stamps: mergedStamps };
}

function without(values: Values, stamps: Stamps, wanted: unknown): Side | ShadowError {
  if (wanted === "null" || wanted === null) return { values: plainObject(), stamps: plainObject() };
  if (!isObject(wanted)) return 404;
  const gone = new Set(
    Object.keys(wanted).filter((name) => wanted[name] === "null" || wanted[name] === null),
  );
  if (gone.size === 0) return 405;
  const keep = <T>(side: Readonly<Record<string, T>>): Record<string, T> =>
    plainObject(Object.entries(side).filter(([name]) => !gone.has(name)));
  return { values: keep(values), stamps: keep(stamps) };
}

function stampsOf(value: unknown, now: number): { readonly timestamp: number } | Stamps {
  if (!isObject(value) || Object.keys(value).length === 0) return { timestamp: now };
  return plainObject(Object.entries(value).map(([name, inner]) => [name, stampsOf(inner, now)] as const));
}

/** Properties at every level; an array counts as one. */
function countOf(values: object): number {
  let count = 0;
  for (const value of Object.values(values)) count += isObject(value) ? Math.max(1, countOf(value)) : 1;
  return count;
}
