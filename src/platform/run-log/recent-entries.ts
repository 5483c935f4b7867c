// The newest entries of each device, in memory: so many of one device, and so many bytes of all. Who is silent keeps his,
// however much others have to tell, until the bytes are used up; then those go whose device has been silent longest.

/** Bytes an entry costs besides its text. */
const OVERHEAD = 96;

export class RecentEntries {
  readonly #perDevice: number;
  readonly #maxBytes: number;
  /** Lines by device, the device that has told something last at the end. */
  readonly #devices = new Map<string, string[]>();
  #bytes = 0;

  constructor(perDevice: number, maxBytes: number) {
    this.#perDevice = perDevice;
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(device: string, line: string): void {
    const lines = this.#devices.get(device) ?? [];
    this.#devices.delete(device);
    this.#devices.set(device, lines);
    lines.push(line);
    this.#bytes += OVERHEAD + line.length;
    if (lines.length > this.#perDevice) this.#dropFirst(lines);
    while (this.#bytes > this.#maxBytes) {
      const [silent, oldest] = this.#devices.entries().next().value as [string, string[]];
      this.#dropFirst(oldest);
      if (oldest.length === 0) this.#devices.delete(silent);
    }
  }

  /** Oldest first. */
  of(device: string): readonly string[] {
    return this.#devices.get(device) ?? [];
  }

  *all(): Generator<string> {
    for (const lines of this.#devices.values()) yield* lines;
  }

  #dropFirst(lines: string[]): void {
    this.#bytes -= OVERHEAD + (lines.shift() as string).length;
  }
}
