// The ClientID field of a platform device: `clientId|k1=v1,k2=v2|` [AUTH-1]. Tolerant of what real SDKs send [AUTH-2]:
// unknown keys, empty entries, bare words, "|" inside a value, blanks and line breaks around an entry.

export interface ClientIdField {
  /** The part before the first bar; it is what gets signed. May be empty [AUTH-8]. */
  readonly clientId: string;
  readonly extensions: Extensions;
}

/** What stands between the bars, by name. */
export interface Extensions {
  get(name: string): string | undefined;
}

/** [AUTH-3] in characters. */
const MAX_CLIENT_ID_CHARACTERS = 64;

const EQUALS = 61;
const COMMA = 44;

/** A text is what is wrong with the field, for the log. */
export function parseClientId(field: string, maxFieldBytes: number): ClientIdField | string {
  // No character takes more than three bytes for each of its units: few fields have to be counted.
  if (field.length * 3 > maxFieldBytes && Buffer.byteLength(field) > maxFieldBytes)
    return `longer than ${maxFieldBytes} bytes`; // [AUTH-3]
  const first = field.indexOf("|");
  if (first < 0) return 'no "|"';
  // The list ends at the last bar: values may hold bars too. White space may follow it.
  const last = field.trimEnd().length - 1;
  if (last === first || field[last] !== "|") return 'no closing "|"';
  const clientId = field.slice(0, first);
  if (clientId.length > MAX_CLIENT_ID_CHARACTERS && [...clientId].length > MAX_CLIENT_ID_CHARACTERS)
    return `client id longer than ${MAX_CLIENT_ID_CHARACTERS} characters`;
  return { clientId, extensions: new ExtensionList(field.slice(first + 1, last)) };
}

/** Reads the list when it is asked: kept for each device that is online, a text is smaller than a table. */
class ExtensionList implements Extensions {
  readonly #list: string;

  constructor(list: string) {
    this.#list = list;
  }

  get(name: string): string | undefined {
    const list = this.#list;
    let found: string | undefined;
    // The name of an entry ends at its first "=".
    if (name === "" || name.includes("=")) return undefined;
    // Looked for by its name: an entry that is not meant costs nothing.
    for (let at = list.indexOf(name); at >= 0; at = list.indexOf(name, at + 1)) {
      const value = at + name.length + 1;
      if (list.charCodeAt(value - 1) !== EQUALS || !beginsEntry(list, at)) continue;
      const comma = list.indexOf(",", value);
      // The last of two wins.
      found = list.slice(value, comma < 0 ? list.length : comma).trimEnd();
    }
    return found;
  }
}

/** Nothing but white space stands between the comma before and this. */
function beginsEntry(list: string, at: number): boolean {
  if (at === 0 || list.charCodeAt(at - 1) === COMMA) return true;
  return list.slice(list.lastIndexOf(",", at - 1) + 1, at).trim() === "";
}
