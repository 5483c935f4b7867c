// Looks at every delivery: is it expected here, unaltered, in order, and the first of its kind?

const MAX_MISSING = 1_000_000; // sequence numbers of a gap remembered one by one

export class Checker {
  delivered = 0;
  errors = {
    duplicates: 0,
    duplicates_flagged: 0,
    reordered: 0,
    gaps: 0,
    malformed: 0,
    stray: 0,
    bad_payload: 0,
    bad_qos: 0,
    refused: 0,
    disconnects: 0,
  };
  #remembered = 0;

  /** State of one subscriber, or of a whole shared group: what comes next on each stream it must receive. */
  static expectation(streams, wanted) {
    return { next: Float64Array.from(streams, (stream) => (wanted(stream) ? 0 : -1)), missing: new Map() };
  }

  /** `ordered` is false for members of a shared group, each of which sees a part of the stream. */
  accept(expectation, stream, sequence, dup, ordered) {
    const { next, missing } = expectation;
    const expected = next[stream];
    if (expected === undefined || expected < 0) {
      this.errors.stray++;
      return;
    }
    if (sequence === expected) {
      next[stream] = expected + 1;
      this.delivered++;
      return;
    }
    const late = missing.get(stream) ?? new Set();
    if (sequence > expected) {
      missing.set(stream, late);
      if (ordered) this.errors.gaps++;
      this.#remembered += sequence - expected;
      if (this.#remembered > MAX_MISSING) throw new Error("too many messages are missing to go on");
      for (let s = expected; s < sequence; s++) late.add(s);
      next[stream] = sequence + 1;
      this.delivered++;
    } else if (late.delete(sequence)) {
      this.#remembered--;
      if (ordered) this.errors.reordered++;
      this.delivered++;
    } else if (dup) this.errors.duplicates_flagged++;
    else this.errors.duplicates++;
  }

  /** True unless something was wrong; a QoS 1 message sent again with DUP set is allowed. */
  get clean() {
    return Object.entries(this.errors).every(([name, count]) => count === 0 || name === "duplicates_flagged");
  }
}
