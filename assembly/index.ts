// The exports of the core: the only way in. See README.md for the ABI.
import { initArenas } from "./route/call/arenas";
import { initHits } from "./route/delivery/hits";
import { initOutput } from "./route/call/output";
import { initVerdicts } from "./route/slots/verdicts";
import { slotAt } from "./route/slots/slots";
import { keepVerdict } from "./route/slots/verdicts";
import { setSeed } from "./topics/levels";

export * from "./codec/index";
export * from "./topics/index";
export { heapUsed, heapTotal, alloc, free } from "./memory/heap";
export { inputBase, recordBase, storeBase } from "./route/call/arenas";
export { expectAck, forgoAck, setAckLimit, setOnceText, setReasonText } from "./route/acknowledgements/acks";
export { setAliasByteLimit } from "./route/slots/aliases";
export { setShareStrategy } from "./route/delivery/groups";
export { forgetVerdicts, setOnceVerdict } from "./route/slots/verdicts";
export { setPaceOfAll } from "./route/rates/pace";
export { setRateOfAll } from "./route/rates/rates";
export { setSampleLimit, setSamples, takeSkipped } from "./route/rates/samples";
export { setCommit } from "./route/call/call";
export { setPropertyBounds } from "./route/property-bounds";
export { nextMember } from "./route/delivery/hits";
export { refuseMessage, refuseRetained } from "./route/fan-out";
export { inject, injectSlice, injectToMember, injectToSlot, oweAck, releaseAcks, replay, resume, route, routeLarge } from "./route/run";
export {
  addFilter,
  addMeter,
  addPaced,
  addShared,
  closeSlot,
  goOffline,
  goOnline,
  holdInbound,
  holdsInbound,
  inflightOf,
  openSlot,
  removeFilter,
  removeShared,
  releaseId,
  removePaced,
  reserveId,
  restoreAlias,
  restoreWindow,
  setCredit,
  setNextId,
  setPace,
  setPosition,
  setRates,
  setSlotFlags,
  slotPtr,
  takePosition,
} from "./route/sessions";

/** Allocates the arenas and keys the hashes. False when memory cannot grow that far. Called once, before all else. */
export function init(seed0: u32, seed1: u32, seed2: u32, seed3: u32): bool {
  setSeed(seed0, seed1, seed2, seed3);
  return initArenas() && initOutput() && initHits() && initVerdicts();
}

/** Remembers the policy's answer for the topic of the last STOP_VERDICT. */
export function rememberVerdict(slot: u32, verdict: u32): void {
  keepVerdict(slot, slotAt(slot), verdict);
}

/** Stops with a trap. For tests of the host's recovery only. */
export function trap(): void {
  unreachable();
}
