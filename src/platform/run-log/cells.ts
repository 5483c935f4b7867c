// Lines of the run log in memory, outside the heap: cells of one size, a line in as many as it needs. As texts they would be
// what a fleet's sign-ins leave on the heap for good, looked through again and again for garbage. Knows no devices.

export const CELL_BYTES = 128;
/** What a cell costs: its bytes and three numbers. */
export const CELL_COST = CELL_BYTES + 12;

const SHIFT = 13;
const CHUNK_CELLS = 1 << SHIFT;
const SLOTS = CHUNK_CELLS - 1;

/** A line: the number of its first cell; 0: none. */
export type Line = number;

/** Cells that are allocated together. */
class Chunk {
  readonly bytes = new Uint8Array(CHUNK_CELLS * CELL_BYTES);
  /** By cell: the one with the next bytes of its line, or the next free one; 0: none. */
  readonly next = new Int32Array(CHUNK_CELLS);
  /** By first cell of a line: its bytes, and the line behind it in a list. */
  readonly length = new Int32Array(CHUNK_CELLS);
  readonly behind = new Int32Array(CHUNK_CELLS);
}

export class Cells {
  readonly #count: number;
  readonly #chunks: Chunk[] = [];
  /** Cells from here on have never been used. */
  #fresh = 1;
  #freed = 0;
  #used = 0;

  /** `maxBytes`: of all cells with what they cost. Memory is taken as they are used, and not given back. */
  constructor(maxBytes: number) {
    this.#count = Math.floor(maxBytes / CELL_COST);
  }

  /** Used, with what they cost. */
  get bytes(): number {
    return this.#used * CELL_COST;
  }

  /** Is there room for a line of so many bytes? */
  hasRoom(length: number): boolean {
    return this.#used + cellsOf(length) <= this.#count;
  }

  /** Could there be, with nothing else? */
  couldHold(length: number): boolean {
    return cellsOf(length) <= this.#count;
  }

  /** Puts bytes [from, to) into cells, of which there must be enough. */
  put(source: Uint8Array, from: number, to: number): Line {
    const line = this.#take();
    let chunk = this.#chunks[line >> SHIFT];
    let slot = line & SLOTS;
    chunk.length[slot] = to - from;
    chunk.behind[slot] = 0;
    for (let at = from; ; ) {
      const { bytes } = chunk;
      const end = Math.min(to, at + CELL_BYTES);
      let target = slot * CELL_BYTES;
      while (at < end) bytes[target++] = source[at++];
      if (at === to) break;
      const next = this.#take();
      chunk.next[slot] = next;
      chunk = this.#chunks[next >> SHIFT];
      slot = next & SLOTS;
    }
    chunk.next[slot] = 0;
    return line;
  }

  /** The line behind it, of the same list. */
  behind(line: Line): Line {
    return this.#chunks[line >> SHIFT].behind[line & SLOTS];
  }

  putBehind(line: Line, last: Line): void {
    this.#chunks[last >> SHIFT].behind[last & SLOTS] = line;
  }

  free(line: Line): void {
    let last = line;
    this.#used--;
    for (let next = this.#next(line); next !== 0; next = this.#next(next)) {
      last = next;
      this.#used--;
    }
    this.#chunks[last >> SHIFT].next[last & SLOTS] = this.#freed;
    this.#freed = line;
  }

  text(line: Line): string {
    const pieces: Uint8Array[] = [];
    let rest = this.#chunks[line >> SHIFT].length[line & SLOTS];
    for (let cell = line; cell !== 0; cell = this.#next(cell)) {
      const from = (cell & SLOTS) * CELL_BYTES;
      pieces.push(this.#chunks[cell >> SHIFT].bytes.subarray(from, from + Math.min(rest, CELL_BYTES)));
      rest -= CELL_BYTES;
    }
    return Buffer.concat(pieces).toString();
  }

  #next(cell: number): number {
    return this.#chunks[cell >> SHIFT].next[cell & SLOTS];
  }

  #take(): number {
    this.#used++;
    const cell = this.#freed;
    if (cell !== 0) {
      this.#freed = this.#next(cell);
      return cell;
    }
    const fresh = this.#fresh++;
    if (fresh >> SHIFT === this.#chunks.length) this.#chunks.push(new Chunk());
    return fresh;
  }
}

/** A line of no bytes has one too. */
function cellsOf(length: number): number {
  return Math.max(1, Math.ceil(length / CELL_BYTES));
}
