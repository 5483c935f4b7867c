// The ClientID field of a platform device: `clientId|k1=v1,k2=v2|` [AUTH-1]. Tolerant of what real SDKs send [AUTH-2]:
// unknown keys, empty entries, bare words, "|" inside a value, blanks and line breaks around an entry.

export interface ClientIdField {
  /** The part before the first bar; it is what gets signed. May be empty [AUTH-8]. */
  readonly clientId: string;
  readonly extensions: ReadonlyMap<string, string>;
}

/** [AUTH-3] in characters. */
export const MAX_CLIENT_ID_CHARACTERS = 64;

/** A text is what is wrong with the field, for the log. */
export function parseClientId(field: string, maxFieldBytes: number): ClientIdField | string {
  if (Buffer.byteLength(field) > maxFieldBytes) return `longer than ${maxFieldBytes} bytes`; // [AUTH-3]
  const first = field.indexOf("|");
  if (first < 0) return 'no "|"';
  // The list ends at the last bar: values may hold bars too. White space may follow it.
  const last = field.trimEnd().length - 1;
  if (last === first || field[last] !== "|") return 'no closing "|"';
  const clientId = field.slice(0, first);
  if ([...clientId].length > MAX_CLIENT_ID_CHARACTERS)
    return `client id longer than ${MAX_CLIENT_ID_CHARACTERS} characters`;
  return { clientId, extensions: parseExtensions(field.slice(first + 1, last)) };
}

function parseExtensions(list: string): Map<string, string> {
  const extensions = new Map<string, string>();
  for (const raw of list.split(",")) {
    const entry = raw.trim();
    const equals = entry.indexOf("=");
    if (equals > 0) extensions.set(entry.slice(0, equals), entry.slice(equals + 1)); // the last of two wins
  }
  return extensions;
}
