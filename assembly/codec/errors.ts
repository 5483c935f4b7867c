// What was wrong with the last packet: a DETAIL_* code and the address of the offending byte.
// A parser returns `fail(reason, detail, at)`; nothing is thrown, and nothing is written while packets are right.

export let errorDetail: u32 = 0;
export let errorAt: usize = 0;

/** Notes the defect and returns the reason code, so that callers can `return fail(...)`. */
export function fail(reason: i32, detail: u32, at: usize): i32 {
  errorDetail = detail;
  errorAt = at;
  return reason;
}
