// Random numbers from a seed: what a run decides comes from here, so that its seed brings back the same decisions.

export class Random {
  #state;
  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /** [0, 1) */
  next() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** A whole number in [from, to]. */
  int(from, to) {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  chance(probability) {
    return this.next() < probability;
  }

  pick(list) {
    return list[this.int(0, list.length - 1)];
  }

  /** A generator of its own, whose numbers do not depend on what others draw later. */
  fork() {
    return new Random(Math.floor(this.next() * 4_294_967_296));
  }
}
