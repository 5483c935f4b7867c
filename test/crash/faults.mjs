// A disk that fails, as the seed decides: writes of the database file and of the log are refused before they begin, torn
// in the middle, or slow before or behind the real one. Patches the store's own seams, so that its own handling of
// failures is what runs. A failure comes alone or as a series, as on a disk that is full for a while.
import { Random } from "./random.mjs";

const SERIES_MS = 60;

export class Faults {
  active = false;
  #random;
  #rate;
  /** Until when everything fails. */
  #failsUntil = 0;

  constructor({ seed, rate }) {
    this.#random = new Random(seed);
    this.#rate = rate;
  }

  #fails() {
    if (!this.active) return false;
    if (Date.now() < this.#failsUntil) return true;
    if (!this.#random.chance(this.#rate)) return false;
    if (this.#random.chance(0.3)) this.#failsUntil = Date.now() + this.#random.int(1, SERIES_MS);
    return true;
  }

  /** ms to wait, mostly none. */
  #delay() {
    return this.active && this.#random.chance(this.#rate) ? this.#random.int(1, 40) : 0;
  }

  /** The database file's transactions. */
  patch(prototype) {
    for (const name of ["write", "probe"]) {
      const real = prototype[name];
      const faults = this;
      prototype[name] = function (...values) {
        return faults.#around(() => real.apply(this, values));
      };
    }
  }

  async #around(work) {
    // The real call at once, where it is made: transactions keep their order.
    if (this.#fails()) {
      await pause(this.#delay());
      throw new Error("injected: no space left on device");
    }
    const before = this.#delay();
    const done = work();
    await done;
    await pause(before);
  }

  /** The log's files. */
  logFiles(real) {
    return {
      list: () => real.list(),
      path: (number) => real.path(number),
      read: (number) => real.read(number),
      remove: (number) => real.remove(number),
      create: (number) => {
        if (this.#fails()) throw new Error("injected: the file cannot be made");
        return this.#logFile(real.create(number));
      },
    };
  }

  #logFile(file) {
    return {
      append: (parts, done) => {
        if (!this.#fails()) {
          later(this.#delay(), () => file.append(parts, done));
          return;
        }
        const bytes = Buffer.concat(parts);
        const torn = this.#random.chance(0.5) ? this.#random.int(1, bytes.length) : 0;
        const fail = () => done(new Error("injected: no space left on device"));
        if (torn === 0) setImmediate(fail);
        else file.append([bytes.subarray(0, torn)], fail);
      },
      sync: (done) => {
        if (this.#fails()) setImmediate(() => done(new Error("injected: the flush failed")));
        else later(this.#delay(), () => file.sync(done));
      },
      close: (done) => file.close(done),
    };
  }
}

const pause = (ms) => (ms === 0 ? undefined : new Promise((resolve) => setTimeout(resolve, ms)));

function later(ms, action) {
  if (ms === 0) action();
  else setTimeout(action, ms);
}
