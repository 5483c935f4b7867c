// Configuration files of products: which one a device is told of when it asks (thing/config/get), and pushing it. The file
// itself lies where its url says. Also whether a device shall report its own log.
import { createHash, randomUUID } from "node:crypto";
import { ConfigError } from "../../../errors.ts";
import type { Documents } from "../../registry/table/documents.ts";
import type { DeviceId } from "../../names/user-name.ts";
import { isObject, own } from "../../shared/json.ts";
import type { MessageIds } from "../../shared/message-ids.ts";
import type { Devices, PushOutcome, Route, Service } from "../../contract/service.ts";
import type { AlinkCall, AlinkDesk, AlinkOutcome } from "./alink-desk.ts";

/** The file, or its size and SHA-256 in hex. */
export type ConfigFile = { readonly url: string } & (
  | { readonly content: Uint8Array | string }
  | { readonly size: number; readonly sha256: string }
);

/** As devices get it. */
export interface ProductConfig {
  readonly configId: string;
  readonly configSize: number;
  readonly sign: string;
  readonly signMethod: "Sha256";
  readonly url: string;
  readonly getType: "file";
}

export interface RemoteConfigParts {
  readonly desk: AlinkDesk;
  readonly documents: Documents;
  readonly devices: Pick<Devices, "push">;
  readonly ids: MessageIds;
}

/** Kinds of the documents. */
const KIND = "config";
const LOG_KIND = "log-report";
const MAX_URL = 2_048;

export class RemoteConfig implements Service {
  readonly routes: readonly Route[];
  readonly #parts: RemoteConfigParts;

  constructor(parts: RemoteConfigParts) {
    this.#parts = parts;
    const { desk } = parts;
    this.routes = [
      desk.route("thing/config/get", (call) => this.#asked(call)),
      desk.route("thing/config/log/get", ({ message }) => ({
        code: 200,
        data: this.#logMode(message.device),
      })),
    ];
  }

  /** undefined: the product has none. */
  get(productKey: string): ProductConfig | undefined {
    const text = this.#parts.documents.get(KIND, productKey);
    return text === undefined ? undefined : (JSON.parse(text) as ProductConfig);
  }

  /** undefined takes it away. Rejects with ConfigError THING_CONFIG. */
  async set(productKey: string, file: ConfigFile | undefined): Promise<ProductConfig | undefined> {
    const config = file === undefined ? undefined : describe(file);
    await this.#parts.documents.set(KIND, productKey, config && JSON.stringify(config));
    return config;
  }

  /** undefined: its product has none. */
  async push(device: DeviceId, traceId?: string): Promise<PushOutcome | undefined> {
    const config = this.get(device.productKey);
    return config && this.#say(device, "thing/config/push", config, traceId);
  }

  /** Whether the device shall report its own log on thing/log/post; it is told, and when it asks. */
  async setLogReport(device: DeviceId, on: boolean, traceId?: string): Promise<PushOutcome> {
    await this.#parts.documents.set(LOG_KIND, keyOf(device), on ? "1" : undefined);
    return this.#say(device, "thing/config/log/push", this.#logMode(device), traceId);
  }

  forgetDevice(device: DeviceId): Promise<void> {
    return this.#parts.documents.set(LOG_KIND, keyOf(device), undefined);
  }

  #asked({ message, request: { params } }: AlinkCall): AlinkOutcome {
    if (!isObject(params)) return { code: 460 };
    const scope = own(params, "configScope") ?? "product";
    const type = own(params, "getType") ?? "file";
    if (scope !== "product" || type !== "file") return { code: 460 };
    const config = this.get(message.device.productKey);
    return config === undefined ? { code: 6710 } : { code: 200, data: config };
  }

  #logMode(device: DeviceId): object {
    const mode = this.#parts.documents.get(LOG_KIND, keyOf(device)) === undefined ? 0 : 1;
    return { getType: "content", content: { mode } };
  }

  #say(device: DeviceId, path: string, params: object, traceId?: string): Promise<PushOutcome> {
    const { devices, ids } = this.#parts;
    const method = path.replaceAll("/", ".");
    const payload = JSON.stringify({ method, id: ids.next(), params, version: "1.0" });
    const topic = `/sys/${device.productKey}/${device.deviceName}/${path}`;
    return devices.push(device, { topic, payload, traceId }, "declared");
  }
}

function describe(file: ConfigFile): ProductConfig {
  const { url } = file;
  if (typeof url !== "string" || url === "" || url.length > MAX_URL)
    throw wrong("url", `has 1 to ${MAX_URL} characters`);
  let size: number;
  let sign: string;
  if ("content" in file) {
    size = Buffer.byteLength(file.content);
    sign = createHash("sha256").update(file.content).digest("hex");
  } else {
    size = file.size;
    sign = file.sha256.toLowerCase();
  }
  if (!Number.isSafeInteger(size) || size < 0) throw wrong("size", "is a whole number of bytes");
  // Devices drop what has another form.
  if (!/^[0-9a-f]{64}$/.test(sign)) throw wrong("sha256", "is 64 hex digits");
  return { configId: randomUUID(), configSize: size, sign, signMethod: "Sha256", url, getType: "file" };
}

function wrong(field: string, message: string): ConfigError {
  return new ConfigError("THING_CONFIG", field, `${field}: ${message}`);
}

function keyOf({ productKey, deviceName }: DeviceId): string {
  return `${productKey}/${deviceName}`;
}
