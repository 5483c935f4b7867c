// The newest entries of each device, in memory: so many of one device, and so many bytes of all. Who is silent keeps his,
// however much others have to tell, until the bytes are used up; then those go whose device has been silent longest.

/** Bytes an entry costs besides its text. */
const OVERHEAD = 96;

export class RecentEntries {
  readonly #perDevice: number;
  readonly #maxBytes: number;
  /** Lines by device, the device that has told something last at the end. Of most there is one: it needs no array. */
  readonly #devices = new Map<string, string | string[]>();
  #bytes = 0;

  constructor(perDevice: number, maxBytes: number) {
    this.#perDevice = perDevice;
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(device: string, line: string): void {
    const held = this.#devices.get(device);
    let lines: string | string[] = line;
    if (held !== undefined) {
      this.#devices.delete(device);
      if (typeof held === "string") lines = [held, line];
      else {
        held.push(line);
        lines = held;
      }
    }
    this.#devices.set(device, lines);
    this.#bytes += OVERHEAD + line.length;
    if (typeof lines !== "string" && lines.length > this.#perDevice) this.#dropFirst(device, lines);
    while (this.#bytes > this.#maxBytes) {
      const [silent, oldest] = this.#devices.entries().next().value as [string, string | string[]];
      this.#dropFirst(silent, oldest);
    }
  }

  /** Oldest first. */
  of(device: string): readonly string[] {
    const lines = this.#devices.get(device) ?? [];
    return typeof lines === "string" ? [lines] : lines;
  }

  *all(): Generator<string> {
    for (const device of this.#devices.keys()) yield* this.of(device);
  }

  #dropFirst(device: string, lines: string | string[]): void {
    const first = typeof lines === "string" ? lines : (lines.shift() as string);
    this.#bytes -= OVERHEAD + first.length;
    if (typeof lines === "string" || lines.length === 0) this.#devices.delete(device);
  }
}
