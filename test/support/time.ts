// Time in tests. What waits for an effect waits for its event, and "nothing comes" is proved by a fence: both need no clock.
// What is here is for tests whose subject is time itself.
import { PEER } from "./server.ts";

/** A span that has to pass for real: a timer or a limit of that length is the subject. */
export function timePasses(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const now = Date.now.bind(Date);
let ahead = 0;

/**
 * The clock of this process is `ms` further on from here to the end of the file, never back: for what is old by then. Timers
 * do not notice. Not for tests that run concurrently. Mosquitto has to be given the time.
 */
export async function leap(ms: number): Promise<void> {
  if (PEER) return timePasses(ms);
  ahead += ms;
  Date.now = () => now() + ahead;
}
