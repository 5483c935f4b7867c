// Time in tests. What waits for an effect waits for its event, and "nothing comes" is proved by a fence: both need no clock.
// What is here is for tests whose subject is time itself.
import { afterAll, beforeAll } from "vitest";
import { PEER } from "./server.ts";

/** A span that has to pass for real: a timer or a limit of that length is the subject. */
export function timePasses(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const now = Date.now.bind(Date);
let ahead = 0;
let stopped: number | undefined;
const tell = (): number => (stopped ?? now()) + ahead;

/**
 * The clock of this process stands while `work` runs, but for leap(): what is counted in windows of time is counted in one, however
 * slow the machine is. Timers do not notice.
 */
export async function clockStands<T>(work: () => Promise<T>): Promise<T> {
  if (PEER) return work();
  stopped = now();
  Date.now = tell;
  try {
    return await work();
  } finally {
    // On from there, never back.
    stopped = undefined;
  }
}

/**
 * The clock of this process is `ms` further on from here to the end of the file, never back: for what is old by then. Timers
 * do not notice. Not for tests that run concurrently. Mosquitto has to be given the time.
 */
export async function leap(ms: number): Promise<void> {
  if (PEER) return timePasses(ms);
  ahead += ms;
  Date.now = tell;
}

interface Tick {
  readonly action: () => void;
  readonly everyMs: number;
  leftMs: number;
}
const ticks = new Map<object, Tick>();

/** What the broker does every second it does in this file when secondsPass() says so. To be called before servers are made. */
export function useManualClock(): void {
  if (PEER) return;
  const { setInterval, clearInterval } = globalThis;
  beforeAll(() => {
    const set = (action: () => void, everyMs = 0): object => {
      if (everyMs < 1_000) return setInterval(action, everyMs);
      const handle = { unref: () => handle };
      ticks.set(handle, { action, everyMs, leftMs: everyMs });
      return handle;
    };
    const clear = (handle: object): void => {
      if (!ticks.delete(handle)) clearInterval(handle as NodeJS.Timeout);
    };
    Object.assign(globalThis, { setInterval: set, clearInterval: clear });
  });
  afterAll(() => void Object.assign(globalThis, { setInterval, clearInterval }));
}

/** So many seconds, and the broker's clock has ticked in each. */
export async function secondsPass(count = 1): Promise<void> {
  for (let second = 0; second < count; second++) {
    await leap(1_000);
    for (const tick of ticks.values()) {
      tick.leftMs -= 1_000;
      if (tick.leftMs > 0) continue;
      tick.leftMs = tick.everyMs;
      tick.action();
    }
  }
}
