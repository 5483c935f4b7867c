// A meter: so many events in any window of time. It keeps the times of the last ones that passed, as many as may: the next
// one may pass when the oldest is a window old. Exact in every window, whenever that begins.
//   0: u32 next   4: u32 times, ms (0: none), as many as the limit
import { alloc, free } from "../../memory/heap";

/** 0 where there is no memory. */
export function newMeter(limit: u32): usize {
  const meter = alloc(4 + limit * 4);
  if (meter) memory.fill(meter, 0, 4 + limit * 4);
  return meter;
}

export function freeMeter(meter: usize, limit: u32): void {
  free(meter, 4 + limit * 4);
}

/** ms until one more may pass, 0: now. Counts nothing. */
// @ts-ignore: decorator
@inline
export function meterWait(meter: usize, window: u32, now: u32): u32 {
  const oldest = load<u32>(meter + 4 + ((<usize>load<u32>(meter)) << 2));
  // A clock that was put back makes this difference huge: it passes.
  return oldest == 0 || now - oldest >= window ? 0 : window - (now - oldest);
}

// @ts-ignore: decorator
@inline
export function meterCount(meter: usize, limit: u32, now: u32): void {
  const next = load<u32>(meter);
  store<u32>(meter + 4 + ((<usize>next) << 2), now);
  store<u32>(meter, next + 1 == limit ? 0 : next + 1);
}
