// State of the present call: whose bytes are read, how far, and what belongs to all of it. Globals, since a call is never
// entered twice; only the functions here change them.
import { H_DETAIL, H_OFFSET, H_REASON, STOP_ERROR } from "../../abi";
import { errorAt, errorDetail } from "../../codec/errors";
import { setWord } from "../../codec/header";
import { takeOnceVerdict } from "../slots/verdicts";

/** Not a STOP_* of the ABI: arenas are full, more is to be done. */
export const CONTINUE: i32 = -1;
/** Room a packet other than PUBLISH may need. */
export const SMALL: u32 = 512;

export let runSlot: u32 = 0;
export let runStart: usize = 0;
export let runAt: usize = 0;
export let runEnd: usize = 0;
export let runNow: f64 = 0;
/** Payload bytes of a large PUBLISH that the host holds. */
export let runExternal: u32 = 0;
/** Number of the commit that this turn's messages belong to. */
export let commit: u32 = 0;

export function setCommit(number: u32): void {
  commit = number;
}

/** Meter of which R_LIMITED was told last in this call: one message after the other says nothing new. -1: of none. */
export let notedLimit: i32 = -1;

export function noteLimit(meter: i32): void {
  notedLimit = meter;
}

/** What is to be read: [ptr, ptr + len), of the client of `index`. */
export function setRun(index: u32, ptr: usize, len: u32, external: u32, now: f64): void {
  runSlot = index;
  runStart = ptr;
  runAt = ptr;
  runEnd = ptr + len;
  runExternal = external;
  notedLimit = -1;
  runNow = now;
}

/** The time of a call that reads no bytes. */
export function setNow(now: f64): void {
  runNow = now;
}

/** What lies before `at` is done with. */
// @ts-ignore: decorator
@inline
export function passTo(at: usize): void {
  runAt = at;
}

/** Stops the run at the packet at `start`, with what errors.ts noted. */
export function error(reason: i32, start: usize): i32 {
  takeOnceVerdict(); // it was for this packet, and for no other
  setWord(H_REASON, reason);
  setWord(H_DETAIL, errorDetail);
  setWord(H_OFFSET, errorAt > start ? <u32>(errorAt - start) : 0);
  return STOP_ERROR;
}
