// A growing buffer in which lines of the run log are put together as bytes, and wait for the disk. A fleet that signs in makes
// thousands of lines a second: joining strings costs several times as much, and they would have to be encoded for the disk too.

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ZERO = 0x30;
/** Numbers are written in groups of eight digits, which 32-bit arithmetic can take apart. */
const GROUP = 100_000_000;
/** Bytes a natural number takes at most. */
const DIGITS = 16;

/** The bytes of a text that stands in every line. */
export function fixed(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text));
}

export class LineBuffer {
  #bytes: Buffer;
  #used = 0;
  /** Where the last text begins that is not plain ASCII; -1: there is none. */
  #foreignAt = -1;

  /** Begins with `room` bytes and grows as needed. */
  constructor(room: number) {
    this.#bytes = Buffer.allocUnsafe(room);
  }

  /** All that was put. A view, not a copy: void after the next put or cut. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#used);
  }

  get used(): number {
    return this.#used;
  }

  /** Where they stand, until more is put. */
  get memory(): Uint8Array {
    return this.#bytes;
  }

  /** Takes back everything behind the first `used` bytes. */
  cutTo(used: number): void {
    this.#used = used;
    if (this.#foreignAt >= used) this.#foreignAt = -1;
  }

  /** Everything behind the first `from` bytes, as text. */
  textFrom(from: number): string {
    const bytes = this.#bytes;
    return this.#foreignAt >= from
      ? bytes.utf8Slice(from, this.#used)
      : bytes.toString("latin1", from, this.#used);
  }

  put(text: Uint8Array): void {
    const { length } = text;
    const at = this.#reserve(length);
    const bytes = this.#bytes;
    for (let i = 0; i < length; i++) bytes[at + i] = text[i];
    this.#used = at + length;
  }

  /** Any text, as it is. */
  putText(text: string): void {
    if (this.#putPlain(text, false)) return;
    const at = this.#reserve(text.length * 3);
    this.#foreignAt = at;
    this.#used = at + this.#bytes.write(text, at);
  }

  /** Any text, as a string of JSON. */
  putString(text: string): void {
    const at = this.#reserve(text.length + 2);
    this.#bytes[at] = QUOTE;
    this.#used = at + 1;
    if (this.#putPlain(text, true)) {
      this.#bytes[this.#used++] = QUOTE;
      return;
    }
    this.#used = at;
    this.putText(JSON.stringify(text));
  }

  /** Any number; natural ones are fast. */
  putNumber(value: number): void {
    if (value < 0 || !Number.isSafeInteger(value)) {
      this.putText(JSON.stringify(value));
      return;
    }
    this.#reserve(DIGITS);
    if (value < GROUP) {
      this.#putDigits(value, 0);
      return;
    }
    const high = Math.floor(value / GROUP);
    if (high < GROUP) this.#putDigits(high, 0);
    else {
      const highest = Math.floor(high / GROUP);
      this.#putDigits(highest, 0);
      this.#putDigits(high - highest * GROUP, 8);
    }
    this.#putDigits(value - high * GROUP, 8);
  }

  /** A number below GROUP, with leading zeros up to `least` digits. */
  #putDigits(value: number, least: number): void {
    let digits = 1;
    for (let power = 10; power <= value; power *= 10) digits++;
    if (digits < least) digits = least;
    const bytes = this.#bytes;
    let rest = value | 0;
    for (let at = this.#used + digits - 1; at >= this.#used; at--) {
      const tens = (rest / 10) | 0;
      bytes[at] = ZERO + rest - tens * 10;
      rest = tens;
    }
    this.#used += digits;
  }

  /**
   * Puts printable ASCII, byte by byte. False where the text holds anything else, or with `string` a character that JSON escapes:
   * then nothing has been put.
   */
  #putPlain(text: string, string: boolean): boolean {
    const { length } = text;
    const at = this.#reserve(length + 1);
    const bytes = this.#bytes;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code < 0x20 || code > 0x7e || (string && (code === QUOTE || code === BACKSLASH))) return false;
      bytes[at + i] = code;
    }
    this.#used = at + length;
    return true;
  }

  /** Makes room for so many more bytes, and returns where they begin. */
  #reserve(length: number): number {
    const used = this.#used;
    if (used + length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(2 * this.#bytes.length + length);
      this.#bytes.copy(grown, 0, 0, used);
      this.#bytes = grown;
    }
    return used;
  }
}
