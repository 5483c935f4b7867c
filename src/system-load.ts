// Moving averages per minute of running counts, as $SYS/broker/load/... tells them: exponentially weighted over 1, 5 and 15
// minutes. Knows neither where a count comes from nor where the averages go.

export const LOAD_MINUTES = [1, 5, 15] as const;

export class LoadAverage {
  /** One value for each of LOAD_MINUTES. */
  readonly values: number[] = LOAD_MINUTES.map(() => 0);
  #count = 0;

  /** `count` is the running count now, `seconds` the time since the last call. */
  update(count: number, seconds: number): void {
    if (seconds <= 0) return;
    const perMinute = ((count - this.#count) * 60) / seconds;
    this.#count = count;
    for (const [i, minutes] of LOAD_MINUTES.entries()) {
      const weight = Math.exp(-seconds / (60 * minutes));
      this.values[i] = perMinute + weight * (this.values[i] - perMinute);
    }
  }
}
