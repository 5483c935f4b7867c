// Shadows of devices: takes requests of devices on /shadow/update, answers and pushes on /shadow/get, and is what the
// server's side reads and changes shadows through [SHADOW-1]. What a request makes of a shadow: shadow-document.ts.
import type { Documents } from "../../registry/table/documents.ts";
import type { PlatformSettings } from "../../settings/settings.ts";
import type { DeviceId } from "../../names/user-name.ts";
import { INVALID_JSON, isObject, type JsonObject, own, parseJson, plainObject } from "../../shared/json.ts";
import type { Called, DeviceMessage, Devices, PushOutcome, Route, Service } from "../../contract/service.ts";
import { SlidingRates } from "../../shared/sliding-rates.ts";
import { decodeShadow, encodeShadow } from "./shadow-codec.ts";
import {
  applyToShadow,
  EMPTY_SHADOW,
  SHADOW_ERRORS,
  type ShadowDocument,
  type ShadowError,
  type ShadowRequest,
  shadowMetadata,
  shadowState,
} from "./shadow-document.ts";

/** Kind of the documents. */
const KIND = "shadow";
/** Levels of a request as a whole: those of a shadow, and state, reported and the request around them. */
const ENVELOPE_DEPTH = 3;

export interface ShadowParts {
  readonly devices: Pick<Devices, "push">;
  readonly documents: Documents;
  readonly settings: PlatformSettings["shadow"];
  /** A change or a refusal, for the run log. */
  readonly done?: (device: DeviceId, method: string, code: number, traceId?: string) => void;
  /** Throws OperationError REGISTRY_MISSING where there is no such device. Default: there is. */
  readonly requireKnown?: (device: DeviceId) => void;
  /** Writes the entries of calls. Default: nobody does. */
  readonly called?: Called;
  readonly now?: () => number;
}

/** Who is answered, and under which name all of it stands in the run log. */
type Asked = Pick<DeviceMessage, "device"> & Partial<Pick<DeviceMessage, "traceId">>;

export type ShadowUpdate =
  | { readonly ok: true; readonly version: number; readonly pushed: PushOutcome }
  | { readonly ok: false; readonly code: ShadowError; readonly message: string };

export class Shadows implements Service {
  readonly routes: readonly Route[];
  readonly #parts: ShadowParts;
  readonly #now: () => number;
  readonly #rates: SlidingRates;

  constructor(parts: ShadowParts) {
    this.#parts = parts;
    this.#now = parts.now ?? Date.now;
    this.#rates = new SlidingRates(parts.settings.requestsPerSecond, 1_000);
    this.routes = [
      { pattern: "/shadow/update/{pk}/{dn}", consumes: true, handle: (message) => this.#requested(message) },
    ];
  }

  // ---- the server's side ----

  /** What GetDeviceShadow shows; undefined: the device has none yet. */
  get(device: DeviceId): JsonObject | undefined {
    const document = this.#read(device);
    return document === undefined ? undefined : describe(document);
  }

  /**
   * `message`: {"method":"update","state":{"desired":{…}},"version":n}. What is desired is pushed to a device that is
   * online or has a session that is kept. Rejects with OperationError REGISTRY_MISSING where there is no such device.
   */
  async update(device: DeviceId, message: JsonObject): Promise<ShadowUpdate> {
    const { called, requireKnown } = this.#parts;
    requireKnown?.(device);
    if (called === undefined) return this.#update(device, message, undefined);
    const params = { version: own(message, "version") };
    return called(device, "UpdateDeviceShadow", params, (traceId) => this.#update(device, message, traceId));
  }

  async #update(device: DeviceId, message: JsonObject, traceId: string | undefined): Promise<ShadowUpdate> {
    const method = own(message, "method") ?? "update";
    if (method !== "update" && method !== "delete") return refusal(406);
    const result = await this.#change(device, {
      method,
      state: own(message, "state"),
      version: own(message, "version"),
    });
    this.#parts.done?.(device, method, typeof result === "number" ? result : 200, traceId);
    if (typeof result === "number") return refusal(result);
    const said = {
      method: "control",
      payload: { status: "success", ...stateOf(result) },
      version: result.version,
    };
    const pushed = await this.#say({ device, traceId }, said);
    return { ok: true, version: result.version, pushed };
  }

  /** The device is gone, and its shadow with it. */
  forget(device: DeviceId): Promise<void> {
    return this.#parts.documents.set(KIND, keyOf(device), undefined);
  }

  // ---- devices ----

  async #requested(message: DeviceMessage): Promise<void> {
    const { device, payload, time, traceId } = message;
    if (!this.#rates.admit(keyOf(device), time)) {
      this.#parts.done?.(device, "update", 429, traceId);
      return; // the platform drops what comes too fast, and says nothing
    }
    const { maxBytes, maxDepth } = this.#parts.settings;
    if (payload.length === 0) return this.#refuse(message, "", 407);
    // The document is bounded; a request that is larger than twice that is none.
    const request =
      payload.length > 2 * maxBytes ? INVALID_JSON : parseJson(payload, maxDepth + ENVELOPE_DEPTH);
    if (request === INVALID_JSON || !isObject(request)) return this.#refuse(message, "", 400);
    const method = own(request, "method");
    if (method === undefined) return this.#refuse(message, "", 401);
    if (method === "get") return this.#answerGet(message);
    if (method !== "update" && method !== "delete") return this.#refuse(message, String(method), 406);
    const state = own(request, "state");
    const result = await this.#change(device, { method, state, version: own(request, "version") });
    if (typeof result === "number") return this.#refuse(message, method, result);
    this.#parts.done?.(device, method, 200, traceId);
    await this.#say(message, { method: "reply", payload: { status: "success", version: result.version } });
  }

  async #answerGet(asked: Asked): Promise<void> {
    const { device, traceId } = asked;
    const document = this.#read(device) ?? EMPTY_SHADOW;
    this.#parts.done?.(device, "get", 200, traceId);
    await this.#say(asked, {
      method: "reply",
      payload: { status: "success", ...stateOf(document) },
      version: document.version,
    });
  }

  async #refuse(asked: Asked, method: string, code: ShadowError): Promise<void> {
    this.#parts.done?.(asked.device, method, code, asked.traceId);
    const content = { errorcode: String(code), errormessage: SHADOW_ERRORS[code] };
    await this.#say(asked, { method: "reply", payload: { status: "error", content } });
  }

  /** Read and written as one step: of two updates with one version, one is refused. */
  async #change(device: DeviceId, request: ShadowRequest): Promise<ShadowDocument | ShadowError> {
    const { documents, settings } = this.#parts;
    const now = this.#seconds();
    try {
      return await documents.edit((draft) => {
        const text = draft.get(KIND, keyOf(device));
        const before = text === undefined ? EMPTY_SHADOW : decodeShadow(text);
        const after = applyToShadow(before, request, now, settings);
        if (typeof after !== "number") draft.set(KIND, keyOf(device), encodeShadow(after));
        return after;
      });
    } catch {
      return 500; // the registry has said why
    }
  }

  #read(device: DeviceId): ShadowDocument | undefined {
    const text = this.#parts.documents.get(KIND, keyOf(device));
    return text === undefined ? undefined : decodeShadow(text);
  }

  #say({ device, traceId }: Asked, said: object): Promise<PushOutcome> {
    const topic = `/shadow/get/${device.productKey}/${device.deviceName}`;
    const payload = JSON.stringify({ ...said, timestamp: this.#seconds() });
    return this.#parts.devices.push(device, { topic, payload, qos: 1, traceId }, "declared");
  }

  #seconds(): number {
    return Math.floor(this.#now() / 1_000);
  }
}

function stateOf(document: ShadowDocument): JsonObject {
  return { state: shadowState(document), metadata: shadowMetadata(document) };
}

function describe(document: ShadowDocument): JsonObject {
  return plainObject<unknown>([
    ...Object.entries(stateOf(document)),
    ["timestamp", document.timestamp],
    ["version", document.version],
  ]);
}

function refusal(code: ShadowError): ShadowUpdate {
  return { ok: false, code, message: SHADOW_ERRORS[code] };
}

function keyOf({ productKey, deviceName }: DeviceId): string {
  return `${productKey}/${deviceName}`;
}
