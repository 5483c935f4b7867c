// Cuts a byte stream into lines of bounded length. Keeps at most one unfinished line.

export class LineReader {
  readonly #maxBytes: number;
  #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** A line has begun and not ended. */
  get unfinished(): boolean {
    return this.#bytes > 0;
  }

  /** The lines that `chunk` completes, in order; "too long" ends the stream, nothing may be pushed after it. */
  push(chunk: Buffer): { readonly lines: string[]; readonly tooLong: boolean } {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      if (!this.#keep(chunk.subarray(start, end))) return { lines, tooLong: true };
      lines.push(Buffer.concat(this.#pieces, this.#bytes).toString("utf8"));
      this.#pieces = [];
      this.#bytes = 0;
      start = end + 1;
    }
    return { lines, tooLong: !this.#keep(chunk.subarray(start)) };
  }

  #keep(piece: Buffer): boolean {
    if (this.#bytes + piece.length > this.#maxBytes) return false;
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    return true;
  }
}
