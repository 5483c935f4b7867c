// What the commands `millrace product` and `millrace device` ask of a registry, as calls with JSON in and out: the same
// through the control socket of a running broker and on a registry this process has opened. Arguments are checked here for
// their type, by the registry for their sense.
import { OperationError } from "../../errors.ts";
import type {
  Device,
  DeviceImport,
  ImportRow,
  NewProduct,
  Product,
  ProductChanges,
  Registry,
} from "../../platform/registry/index.ts";
import { type FirmwareState, keptFirmware } from "../../platform/services/ota/firmware-state.ts";
import type { TopicClass } from "../../platform/names/topic-classes.ts";
import { RequestRefusal, type JsonObject } from "../control/control-protocol.ts";

/** Characters of JSON in a page of a list: an answer is one line of the control socket. */
const PAGE_CHARACTERS = 400_000;
const PAGE_ENTRIES = 500;

export interface ProductAnswer extends Omit<Product, "createdAt"> {
  readonly createdAt: string;
  readonly devices: number;
  readonly hasModel: boolean;
}

export interface DeviceAnswer {
  readonly productKey: string;
  readonly deviceName: string;
  readonly deviceSecret: string;
  readonly iotId: string;
  readonly nickname: string;
  readonly status: string;
  readonly createdAt: string;
  readonly activatedAt: string | null;
  readonly lastOnlineAt: string | null;
  readonly lastOfflineAt: string | null;
  readonly remoteAddress: string | null;
  readonly protocolFamily: string | null;
  readonly firmwareVersion: string | null;
  readonly certificate: string | null;
  readonly gateway: { readonly productKey: string; readonly deviceName: string } | null;
  readonly tags: readonly { readonly key: string; readonly value: string }[];
}

/** One device, with what it and the server's side said of its firmware. */
export interface ShownDevice extends DeviceAnswer {
  readonly ota: FirmwareAnswer | null;
}

export interface FirmwareAnswer {
  /** When the device last reported something new. */
  readonly reportedAt: string | null;
  readonly modules: readonly ModuleAnswer[];
}

export interface ModuleAnswer {
  readonly module: string;
  readonly version: string | null;
  /** The last one it was told of. */
  readonly upgrade: {
    readonly version: string;
    readonly from: string | null;
    readonly state: string;
    readonly step: number | null;
    readonly desc: string | null;
    /** When that was told or last reported. */
    readonly time: string;
  } | null;
}

/** Asks nothing: whoever answers is a broker that will do what it is asked next. */
export const HELLO = "hello";

/** The calls of one client. What it leaves open, an import, ends with it. */
export class RegistryCalls {
  readonly #open: () => Promise<Registry>;
  readonly #authorityMade: () => Promise<boolean>;
  #import: DeviceImport | undefined;

  /** `authorityMade`: the data directory may have a new authority for devices; whether a broker asks for its certificates. */
  constructor(open: () => Promise<Registry>, authorityMade: () => Promise<boolean> = async () => false) {
    this.#open = open;
    this.#authorityMade = authorityMade;
  }

  /** True while the client may think in peace. */
  get busy(): boolean {
    return this.#import !== undefined;
  }

  async call(name: string, given: JsonObject): Promise<unknown> {
    const call = Object.hasOwn(CALLS, name) ? CALLS[name] : undefined;
    if (call !== undefined) return call(await this.#open(), given);
    switch (name) {
      case HELLO:
        return null;
      case "device.authority":
        return this.#authorityMade();
      case "import.begin":
        if (this.#import !== undefined) throw bad("this client has an import under way");
        this.#import = await (await this.#open()).beginImport();
        return null;
      case "import.rows":
        return this.#need().add(rows(given));
      case "import.finish": {
        const finished = this.#need();
        this.#import = undefined;
        return finished.finish();
      }
      case "import.abort":
        await this.close();
        return null;
      default:
        throw bad(`there is no call ${JSON.stringify(name)}`);
    }
  }

  /** The client is gone. */
  async close(): Promise<void> {
    const left = this.#import;
    this.#import = undefined;
    await left?.abort();
  }

  #need(): DeviceImport {
    if (this.#import === undefined) throw bad("there is no import under way");
    return this.#import;
  }
}

const CALLS: { readonly [name: string]: (registry: Registry, given: JsonObject) => unknown } = {
  "product.create": async (registry, given) =>
    describeProduct(registry, await registry.createProduct(productFields(given) as NewProduct)),
  "product.list": (registry, { after }) => {
    const all = [...registry.products].sort((a, b) => (a.productKey < b.productKey ? -1 : 1));
    const from = typeof after === "string" ? all.findIndex(({ productKey }) => productKey > after) : 0;
    return page(from < 0 ? [] : all.slice(from, from + PAGE_ENTRIES), (one) =>
      describeProduct(registry, one),
    );
  },
  "product.show": (registry, given) => describeProduct(registry, needProduct(registry, given)),
  "product.update": async (registry, given) => {
    const changes = productFields(given) as ProductChanges & { productKey?: string };
    return describeProduct(registry, await registry.updateProduct(text(given, "productKey"), changes));
  },
  "product.delete": async (registry, given) => {
    const productKey = text(given, "productKey");
    const answer = describeProduct(registry, needProduct(registry, given));
    await registry.deleteProduct(productKey, { withDevices: given["withDevices"] === true });
    return answer;
  },
  "product.addTopic": async (registry, given) => {
    const permission = text(given, "permission") as TopicClass["permission"];
    const suffix = text(given, "suffix");
    return describeProduct(
      registry,
      await registry.addTopicClass(text(given, "productKey"), { suffix, permission }),
    );
  },
  "product.deleteTopic": async (registry, given) =>
    describeProduct(
      registry,
      await registry.removeTopicClass(text(given, "productKey"), text(given, "suffix")),
    ),
  "product.setModel": async (registry, given) => {
    await registry.setModel(text(given, "productKey"), text(given, "model"));
    return describeProduct(registry, needProduct(registry, given));
  },
  "device.create": async (registry, given) =>
    describeDevice(
      registry,
      await registry.createDevice({
        productKey: text(given, "productKey"),
        deviceName: text(given, "deviceName"),
        deviceSecret: optional(given, "deviceSecret"),
        nickname: optional(given, "nickname"),
      }),
    ),
  "device.list": (registry, given) => {
    const { productKey } = needProduct(registry, given);
    const devices = registry.devicesOf(productKey, { after: optional(given, "after"), limit: PAGE_ENTRIES });
    return page(devices, (one) => describeDevice(registry, one));
  },
  "device.show": (registry, given): ShownDevice => {
    const device = needDevice(registry, given);
    const firmware = keptFirmware(registry.documents, device);
    return {
      ...describeDevice(registry, device),
      ota: firmware === undefined ? null : describeFirmware(firmware),
    };
  },
  "device.enable": async (registry, given) => {
    const { productKey, deviceName } = needDevice(registry, given);
    return describeDevice(registry, await registry.enableDevice(productKey, deviceName));
  },
  "device.disable": async (registry, given) => {
    const { productKey, deviceName } = needDevice(registry, given);
    return describeDevice(registry, await registry.disableDevice(productKey, deviceName));
  },
  "device.reset": async (registry, given) => {
    const { productKey, deviceName } = needDevice(registry, given);
    return describeDevice(registry, await registry.resetDevice(productKey, deviceName));
  },
  "device.certificate": async (registry, given) => {
    const { productKey, deviceName } = needDevice(registry, given);
    const certificate = text(given, "certificate");
    return describeDevice(registry, await registry.updateDevice(productKey, deviceName, { certificate }));
  },
  "device.delete": async (registry, given) => {
    const device = needDevice(registry, given);
    const answer = describeDevice(registry, device);
    await registry.deleteDevice(device.productKey, device.deviceName);
    return answer;
  },
};

/** As many as a line of the control socket holds, one at least. Empty: no more. */
function page<T, A>(entries: readonly T[], describe: (entry: T) => A): A[] {
  const answers: A[] = [];
  let characters = 0;
  for (const entry of entries) {
    const answer = describe(entry);
    characters += JSON.stringify(answer).length;
    if (answers.length > 0 && characters > PAGE_CHARACTERS) break;
    answers.push(answer);
  }
  return answers;
}

function describeProduct(registry: Registry, product: Product): ProductAnswer {
  return {
    ...product,
    createdAt: new Date(product.createdAt).toISOString(),
    devices: registry.countDevices(product.productKey),
    hasModel: registry.findModel(product.productKey) !== undefined,
  };
}

function describeDevice(registry: Registry, device: Device): DeviceAnswer {
  const state = registry.stateOf(device);
  return {
    productKey: device.productKey,
    deviceName: device.deviceName,
    deviceSecret: device.deviceSecret,
    iotId: device.iotId,
    nickname: device.nickname,
    status: state.status,
    createdAt: new Date(device.createdAt).toISOString(),
    activatedAt: time(device.activatedAt),
    lastOnlineAt: time(state.lastOnlineAt),
    lastOfflineAt: time(state.lastOfflineAt),
    remoteAddress: state.remoteAddress ?? null,
    protocolFamily: device.protocolFamily ?? null,
    firmwareVersion: device.firmwareVersion ?? null,
    certificate: device.certificate ?? null,
    gateway: device.gateway ?? null,
    tags: device.tags.map(([key, value]) => ({ key, value })),
  };
}

function describeFirmware({ versions, upgrades, reportedAt }: FirmwareState): FirmwareAnswer {
  const modules = [...new Set([...versions.keys(), ...upgrades.keys()])].sort();
  return {
    reportedAt: time(reportedAt),
    modules: modules.map((module) => {
      const upgrade = upgrades.get(module);
      return {
        module,
        version: versions.get(module) ?? null,
        upgrade:
          upgrade === undefined
            ? null
            : {
                version: upgrade.firmware.version,
                from: upgrade.from ?? null,
                state: upgrade.state,
                step: upgrade.step ?? null,
                desc: upgrade.desc ?? null,
                time: new Date(upgrade.time).toISOString(),
              },
      };
    }),
  };
}

function time(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}

function needProduct(registry: Registry, given: JsonObject): Product {
  const productKey = text(given, "productKey");
  const product = registry.findProduct(productKey);
  if (product !== undefined) return product;
  const message = `productKey: "${productKey}": there is no such product; millrace product list shows them`;
  throw new OperationError("REGISTRY_MISSING", message);
}

function needDevice(registry: Registry, given: JsonObject): Device {
  const { productKey } = needProduct(registry, given);
  const deviceName = text(given, "deviceName");
  const device = registry.findDevice(productKey, deviceName);
  if (device !== undefined) return device;
  const message = `deviceName: product ${productKey} has no device "${deviceName}"; millrace device list ${productKey} shows them`;
  throw new OperationError("REGISTRY_MISSING", message);
}

const TEXT_FIELDS = ["productKey", "productSecret", "name", "nodeType", "authType", "dataFormat"] as const;

function productFields(given: JsonObject): JsonObject {
  const fields: Record<string, unknown> = {};
  for (const field of TEXT_FIELDS) {
    const value = optional(given, field);
    if (value !== undefined) fields[field] = value;
  }
  for (const field of ["dynamicRegistration", "freeTopics"]) {
    const value = given[field];
    if (value === undefined) continue;
    if (typeof value !== "boolean") throw bad(`${field} is true or false`);
    fields[field] = value;
  }
  return fields;
}

function rows({ rows: given }: JsonObject): ImportRow[] {
  if (!Array.isArray(given)) throw bad("rows is a list");
  return given.map((entry: unknown): ImportRow => {
    if (typeof entry !== "object" || entry === null) throw bad("a row is an object");
    const row = entry as JsonObject;
    if (typeof row["line"] !== "number") throw bad("a row has its line");
    return {
      line: row["line"],
      productKey: text(row, "productKey"),
      deviceName: text(row, "deviceName"),
      deviceSecret: text(row, "deviceSecret"),
      productSecret: optional(row, "productSecret"),
      nickname: optional(row, "nickname"),
    };
  });
}

function text(given: JsonObject, name: string): string {
  const value = given[name];
  if (typeof value !== "string") throw bad(`${name} is a string`);
  return value;
}

function optional(given: JsonObject, name: string): string | undefined {
  return given[name] === undefined ? undefined : text(given, name);
}

function bad(message: string): RequestRefusal {
  return new RequestRefusal("BAD_REQUEST", 0, message);
}
