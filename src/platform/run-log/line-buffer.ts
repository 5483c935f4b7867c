// Where lines of the run log are put together, and wait for the disk: bytes, written one by one. A fleet that signs in makes
// thousands a second; texts made of texts cost several times that, and each would have to be encoded for the disk.

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ZERO = 0x30;
const HALF = 100_000_000;
/** Bytes a natural number takes at most. */
const DIGITS = 16;

/** The bytes of a text that stands in every line. */
export function fixed(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text));
}

export class LineBuffer {
  #bytes: Buffer;
  #used = 0;
  /** Where the last text began that is not plain ASCII. */
  #foreignAt = -1;

  /** Grows beyond `room` bytes where that was too little. */
  constructor(room: number) {
    this.#bytes = Buffer.allocUnsafe(room);
  }

  /** All that was put; changes with the buffer. */
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

  /** What was put behind `used` bytes was not. */
  cutTo(used: number): void {
    this.#used = used;
    if (this.#foreignAt >= used) this.#foreignAt = -1;
  }

  /** What was put behind `from` bytes. */
  textFrom(from: number): string {
    const bytes = this.#bytes;
    return this.#foreignAt >= from
      ? bytes.utf8Slice(from, this.#used)
      : bytes.toString("latin1", from, this.#used);
  }

  put(text: Uint8Array): void {
    const { length } = text;
    const at = this.#make(length);
    const bytes = this.#bytes;
    for (let i = 0; i < length; i++) bytes[at + i] = text[i];
    this.#used = at + length;
  }

  /** Any text, as it is. */
  putText(text: string): void {
    if (this.#putPlain(text, false)) return;
    const at = this.#make(text.length * 3);
    this.#foreignAt = at;
    this.#used = at + this.#bytes.write(text, at);
  }

  /** Any text, as a string of JSON. */
  putString(text: string): void {
    const at = this.#make(text.length + 2);
    this.#bytes[at] = QUOTE;
    this.#used = at + 1;
    if (this.#putPlain(text, true)) {
      this.#bytes[this.#used++] = QUOTE;
      return;
    }
    this.#used = at;
    this.putText(JSON.stringify(text));
  }

  /** Any number; a natural one is the quick case. */
  putNumber(value: number): void {
    if (value < 0 || !Number.isSafeInteger(value)) {
      this.putText(JSON.stringify(value));
      return;
    }
    this.#make(DIGITS);
    if (value < HALF) {
      this.#putDigits(value, 0);
      return;
    }
    const high = Math.floor(value / HALF);
    if (high < HALF) this.#putDigits(high, 0);
    else {
      const highest = Math.floor(high / HALF);
      this.#putDigits(highest, 0);
      this.#putDigits(high - highest * HALF, 8);
    }
    this.#putDigits(value - high * HALF, 8);
  }

  /** Below 10^8, filled up with zeros to `least` digits. */
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

  /** Printable ASCII, byte by byte; false, and nothing has been put, where there is anything else. `string`: or what JSON escapes. */
  #putPlain(text: string, string: boolean): boolean {
    const { length } = text;
    const at = this.#make(length + 1);
    const bytes = this.#bytes;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code < 0x20 || code > 0x7e || (string && (code === QUOTE || code === BACKSLASH))) return false;
      bytes[at + i] = code;
    }
    this.#used = at + length;
    return true;
  }

  /** Room for so many bytes more; returns where they begin. */
  #make(length: number): number {
    const used = this.#used;
    if (used + length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(2 * this.#bytes.length + length);
      this.#bytes.copy(grown, 0, 0, used);
      this.#bytes = grown;
    }
    return used;
  }
}
