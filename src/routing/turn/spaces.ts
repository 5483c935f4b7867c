// Spaces of sessions by number, as the core knows them [TOPIC-10]. A number is given once and never again: there are as many
// as products have been seen since the start. Who comes after the last one has none, and is refused names of a space.
import type { Policy } from "../../access/policy.ts";
import { M_SPACE_SHIFT } from "../../core/generated/abi.ts";

/** SLOT_SPACE_SHIFT leaves 16 bits. */
const MOST = 65_535;
/** Of the flags in a canonical message, see assembly/abi.ts. */
const FLAGS_OFFSET = 4;

export class SpaceNumbers {
  /** By space, by namespace. */
  readonly #numbers = new Map<string, Map<string, number>>();
  #last = 0;

  /** 0: the session has no space, or there is no number left. */
  numberOf({ namespace, spaces }: Policy, sessionKey: string): number {
    const space = spaces?.of(sessionKey);
    if (space === undefined) return 0;
    let numbers = this.#numbers.get(namespace);
    if (numbers === undefined) {
      numbers = new Map();
      this.#numbers.set(namespace, numbers);
    }
    let number = numbers.get(space);
    if (number === undefined) {
      if (this.#last === MOST) return 0;
      number = ++this.#last;
      numbers.set(space, number);
    }
    return number;
  }
}

/** Writes into a canonical message which space it stays in; 0: in none. */
export function keepIn(space: number, message: Buffer): void {
  const flags = message.readUInt32LE(FLAGS_OFFSET) & ((1 << M_SPACE_SHIFT) - 1);
  message.writeUInt32LE((flags | (space << M_SPACE_SHIFT)) >>> 0, FLAGS_OFFSET);
}

/** What is put before a name to tell spaces apart where the core is not asked; "" where it means the same for everybody. */
export function spacePrefix({ spaces }: Policy, sessionKey: string, topic: string): string {
  if (spaces === undefined || !spaces.covers(topic)) return "";
  // No Topic Name holds a NUL: this is no level of anybody's.
  return `${spaces.of(sessionKey)}\0/`;
}

/** Space and name, of a place with something put before it. */
export function splitPlace(place: string): { readonly space: string; readonly name: string } | undefined {
  const end = place.indexOf("\0/");
  return end < 0 ? undefined : { space: place.slice(0, end), name: place.slice(end + 2) };
}
