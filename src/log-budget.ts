// Log lines that strangers and clients cause: who is refused, closed or taken over, whose subscription ends. Each names its
// metric. Of each kind only so many are written in a second and the rest is counted in one line, so that nobody fills the disk
// by knocking.
import type { Metrics } from "./metrics.ts";
import type { Logger } from "./logger.ts";

interface Spent {
  lines: number;
  more: number;
}

export class LogBudget {
  readonly #logger: Logger;
  readonly #perSecond: number;
  readonly #metrics: Metrics;
  /** By metric: as many as there are kinds, whoever the clients are. */
  readonly #spent = new Map<string, Spent>();

  constructor(logger: Logger, perSecond: number, metrics: Metrics) {
    this.#logger = logger;
    this.#perSecond = perSecond;
    this.#metrics = metrics;
  }

  /** `metric`: what counts such events; it is the kind. Never anything a client chooses. */
  info(metric: string, fields: object, message: string): void {
    let spent = this.#spent.get(metric);
    if (spent === undefined) {
      spent = { lines: 0, more: 0 };
      this.#spent.set(metric, spent);
    }
    if (spent.lines < this.#perSecond) {
      spent.lines += 1;
      this.#logger.info({ metric, ...fields }, message);
    } else {
      spent.more += 1;
      this.#metrics.limit("dropped.log_lines");
    }
  }

  /** Once a second, and at the end: tells what was left out, and begins anew. */
  renew(): void {
    for (const [metric, spent] of this.#spent) {
      if (spent.more > 0)
        this.#logger.info({ metric, more: spent.more }, "more of the same, not logged one by one");
      spent.lines = 0;
      spent.more = 0;
    }
  }
}
