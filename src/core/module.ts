// Loads the WASM core. The only place that knows how its bytes are shipped; no runtime's API beyond WebAssembly.
import { WASM_BASE64 } from "./generated/wasm.ts";

/** Every export of the core, as assembly/index.ts names them. Pointers are addresses in `memory`. */
export interface CoreExports {
  readonly memory: WebAssembly.Memory;
  readonly inputBase: WebAssembly.Global<"i32">;
  readonly recordBase: WebAssembly.Global<"i32">;
  readonly storeBase: WebAssembly.Global<"i32">;
  init(seed0: number, seed1: number, seed2: number, seed3: number): number;
  headerPtr(): number;
  alloc(size: number): number;
  free(ptr: number, size: number): void;
  heapUsed(): number;
  heapTotal(): number;
  // codec
  decodePacket(ptr: number, len: number, level: number): number;
  parseRun(ptr: number, len: number, level: number): number;
  runPtr(): number;
  validateUtf8Payload(ptr: number, len: number): number;
  // topics
  setMaxLevels(levels: number): void;
  scanTopicName(ptr: number, len: number): number;
  scanTopicFilter(ptr: number, len: number): number;
  subscribe(ptr: number, len: number, item: number, options: number): number;
  unsubscribe(ptr: number, len: number, item: number): number;
  matchTopic(): number;
  listsPtr(): number;
  filterMatches(filter: number, filterLen: number, topic: number, topicLen: number): number;
  filterCount(): number;
  subscriptionCount(): number;
  tableBytes(): number;
  // slots
  openSlot(flags: number): number;
  closeSlot(slot: number): void;
  goOnline(
    slot: number,
    flags: number,
    maxPacket: number,
    sendMax: number,
    inMax: number,
    inboundMax: number,
    aliasInMax: number,
    aliasOutMax: number,
    credit: number,
  ): void;
  goOffline(slot: number): void;
  setSlotFlags(slot: number, set: number, clear: number): void;
  setRates(
    slot: number,
    qos0: number,
    qos12: number,
    windowMs: number,
    beyond: number,
    ofAll?: number,
  ): number;
  setRateOfAll(limit: number, windowMs: number): number;
  addMeter(slot: number): number;
  setPace(slot: number, limit: number, windowMs: number, ofAll: number): number;
  setPaceOfAll(limit: number, windowMs: number): number;
  addPaced(slot: number, ptr: number, len: number): number;
  removePaced(slot: number, ptr: number, len: number): void;
  setSamples(slot: number, perSecond: number): number;
  setSampleLimit(perSecond: number): void;
  takeSkipped(slot: number): number;
  setCredit(slot: number, credit: number): void;
  setPosition(slot: number, position: number): void;
  takePosition(slot: number): number;
  holdInbound(slot: number, id: number): number;
  holdsInbound(slot: number, id: number): number;
  refuseRetained(slot: number, id: number): void;
  expectAck(slot: number): void;
  setAckLimit(most: number): void;
  forgoAck(slot: number): void;
  refuseMessage(slot: number, id: number): void;
  setOnceText(ptr: number, len: number): void;
  setPropertyLimit(properties: number): void;
  setPropertyBounds(pairs: number, characters: number, response: number, correlation: number): void;
  reserveId(slot: number, position: number): number;
  releaseId(slot: number, id: number): void;
  inflightOf(slot: number): number;
  slotPtr(slot: number): number;
  addFilter(ptr: number, len: number, slot: number, options: number): number;
  removeFilter(ptr: number, len: number, slot: number): number;
  addShared(ptr: number, len: number, group: number, slot: number, options: number): number;
  removeShared(ptr: number, len: number, group: number, slot: number): number;
  restoreWindow(slot: number, id: number, state: number, position: number): number;
  restoreAlias(slot: number, alias: number, ptr: number, len: number): number;
  setNextId(slot: number, id: number): void;
  setShareStrategy(hash: number): void;
  setAliasByteLimit(bytes: number): void;
  setReasonText(reason: number, ptr: number, len: number): number;
  // verdicts
  rememberVerdict(slot: number, verdict: number): void;
  setOnceVerdict(verdict: number): void;
  forgetVerdicts(): void;
  // routing
  route(slot: number, ptr: number, len: number, now: number): number;
  routeLarge(slot: number, ptr: number, len: number, missing: number, now: number): number;
  inject(ptr: number, now: number): number;
  injectSlice(ptr: number, from: number, limit: number, now: number): number;
  injectToMember(ptr: number, group: number, slot: number, now: number): number;
  nextMember(group: number, qos: number, any: number): number;
  injectToSlot(ptr: number, slot: number, implied: number, now: number): number;
  replay(slot: number, ptr: number, len: number, now: number, wait: number): number;
  releaseAcks(commit: number, reason: number): number;
  oweAck(slot: number, type: number, id: number, reason: number, commit: number): number;
  resume(): number;
  setCommit(commit: number): void;
  trap(): void;
}

let compiled: WebAssembly.Module | undefined;

/** The module built into this package, compiled once per process. */
function builtInModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(Uint8Array.from(atob(WASM_BASE64), (c) => c.charCodeAt(0)));
  return compiled;
}

/** A core of its own, initialised with fresh hash keys. Throws Error where memory cannot be reserved. */
export function instantiate(module: WebAssembly.Module = builtInModule()): CoreExports {
  const imports = {
    env: {
      abort(_message: number, _file: number, line: number, column: number): never {
        throw new WebAssembly.RuntimeError(`assertion in the core failed at ${line}:${column}`);
      },
    },
  };
  let core: CoreExports;
  try {
    core = new WebAssembly.Instance(module, imports).exports as unknown as CoreExports;
  } catch (error) {
    throw new Error(
      "the WASM core could not reserve its memory: raise the limit of address space (ulimit -v) or of the container",
      { cause: error },
    );
  }
  const seeds = crypto.getRandomValues(new Uint32Array(4));
  if (core.init(seeds[0], seeds[1], seeds[2], seeds[3]) === 0) {
    throw new Error(
      "the WASM core could not allocate its arenas (8 MiB): raise the memory limit of this process",
    );
  }
  return core;
}
