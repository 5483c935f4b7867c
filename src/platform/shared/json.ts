// JSON that strangers send: parsed with a bound on its depth before anything recurses over it, read by own keys only, so
// that names such as `__proto__` or `constructor` are data like any other. No knowledge of what the texts mean.

export type JsonObject = { readonly [key: string]: unknown };

/** What parseJson() gives for a text that is no JSON, not UTF-8, or too deep. */
export const INVALID_JSON = Symbol("invalid JSON");

const decoder = new TextDecoder("utf-8", { fatal: true });

/** `maxDepth`: levels of arrays and objects, 1 for a flat one. */
export function parseJson(payload: Uint8Array, maxDepth = 64): unknown {
  if (isDeeper(payload, maxDepth)) return INVALID_JSON;
  try {
    return JSON.parse(decoder.decode(payload));
  } catch {
    return INVALID_JSON;
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value of an own key; undefined: there is none. */
export function own(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** An object that inherits nothing: assigning to any key, `__proto__` too, sets that key. */
export function plainObject<T>(entries: Iterable<readonly [string, T]> = []): Record<string, T> {
  const object: Record<string, T> = Object.create(null);
  for (const [key, value] of entries) object[key] = value;
  return object;
}

/**
 * How a number of the outermost object stands in the text, which parseJson() let through; the last of several, as there.
 * undefined: it is not found, which takes a key written with escapes.
 */
export function numberText(payload: Uint8Array, key: string): string | undefined {
  const text = decoder.decode(payload);
  let found: string | undefined;
  let depth = 0;
  // Texts whole, so that what they hold is not taken for more; then brackets.
  for (const match of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"(?:\s*:\s*(-?\d[\d.eE+-]*))?|[[\]{}]/g)) {
    const [token, number] = match;
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (depth === 1 && number !== undefined && token.startsWith(`"${key}"`)) found = number;
  }
  return found;
}

/** Levels of arrays and objects in a value: 0 for a text or number. Only for values that parseJson() let through. */
export function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  let deepest = 0;
  for (const inner of Object.values(value)) deepest = Math.max(deepest, depthOf(inner));
  return deepest + 1;
}

/** Brackets outside of texts, counted in one pass over the bytes. */
function isDeeper(payload: Uint8Array, maxDepth: number): boolean {
  let depth = 0;
  let inText = false;
  for (let i = 0; i < payload.length; i++) {
    const byte = payload[i];
    if (inText) {
      if (byte === 0x5c) i++;
      else if (byte === 0x22) inText = false;
    } else if (byte === 0x22) inText = true;
    else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > maxDepth) return true;
    } else if (byte === 0x7d || byte === 0x5d) depth--;
  }
  return false;
}
