// From flags and arguments to what `millrace product …` and `millrace device …` shall do.
import { ConfigError } from "../../errors.ts";
import type { CommandName } from "./flags.ts";
import { path, text, type Values } from "./flag-values.ts";
import { isPlatformCommand, type PlatformCommandName } from "./platform-arguments.ts";

export interface ProductFields {
  readonly productKey?: string;
  readonly productSecret?: string;
  readonly name?: string;
  readonly nodeType?: string;
  readonly authType?: string;
  readonly dataFormat?: string;
  readonly dynamicRegistration?: boolean;
  readonly freeTopics?: boolean;
}

export type ProductAction =
  | { readonly verb: "create"; readonly fields: ProductFields }
  | { readonly verb: "list" }
  | { readonly verb: "show"; readonly productKey: string }
  | { readonly verb: "update"; readonly productKey: string; readonly fields: ProductFields }
  | { readonly verb: "delete"; readonly productKey: string; readonly withDevices: boolean }
  | {
      readonly verb: "topic add";
      readonly productKey: string;
      readonly suffix: string;
      readonly permission: string;
    }
  | { readonly verb: "topic list"; readonly productKey: string }
  | { readonly verb: "topic delete"; readonly productKey: string; readonly suffix: string }
  | { readonly verb: "model"; readonly productKey: string; readonly file: string };

export interface ProductArguments {
  readonly action: ProductAction;
  readonly json: boolean;
  readonly data?: string;
}

export type DeviceAction =
  | {
      readonly verb: "create";
      readonly productKey: string;
      readonly deviceName: string;
      readonly deviceSecret?: string;
      readonly nickname?: string;
    }
  | { readonly verb: "list"; readonly productKey: string }
  | {
      readonly verb: "show" | "enable" | "disable" | "reset" | "delete";
      readonly productKey: string;
      readonly deviceName: string;
    }
  | { readonly verb: "export"; readonly productKey?: string };

export interface DeviceArguments {
  readonly action: DeviceAction;
  readonly json: boolean;
  readonly data?: string;
}

export interface DeviceCertificateArguments {
  readonly productKey: string;
  readonly deviceName: string;
  /** Where key and certificate are written. Default: the working directory. */
  readonly out?: string;
  /** An existing certificate. */
  readonly bind?: string;
  readonly json: boolean;
  readonly data?: string;
}

export interface DeviceImportArguments {
  /** undefined: standard input. */
  readonly file?: string;
  readonly json: boolean;
  readonly data?: string;
}

export type RegistryCommandName = Exclude<
  Extract<CommandName, `product ${string}` | `device ${string}`>,
  PlatformCommandName
>;

export function isRegistryCommand(name: CommandName): name is RegistryCommandName {
  return !isPlatformCommand(name) && (name.startsWith("product ") || name.startsWith("device "));
}

interface Given {
  readonly values: Values;
  readonly positionals: readonly string[];
}

export type RegistryCommand =
  | { readonly kind: "product"; readonly arguments: ProductArguments }
  | { readonly kind: "device"; readonly arguments: DeviceArguments }
  | { readonly kind: "device certificate"; readonly arguments: DeviceCertificateArguments }
  | { readonly kind: "device import"; readonly arguments: DeviceImportArguments };

export function registryCommand(name: RegistryCommandName, given: Given): RegistryCommand {
  const { values, positionals } = given;
  const common = { json: values.json === true, data: text(values, "data") };
  if (name === "device import") {
    const file = path(positionals[0], "FILE");
    return { kind: name, arguments: { ...common, file: file === "-" ? undefined : file } };
  }
  if (name === "device certificate") {
    const [productKey, deviceName] = positionals;
    const [out, bind] = [text(values, "out"), text(values, "bind")];
    if (out !== undefined && bind !== undefined)
      throw new ConfigError(
        "BAD_FLAG",
        "--out",
        "--out and --bind contradict each other: nothing is written with --bind",
      );
    return { kind: name, arguments: { ...common, productKey, deviceName, out, bind } };
  }
  return name.startsWith("product ")
    ? { kind: "product", arguments: { ...common, action: productAction(name as ProductName, given) } }
    : { kind: "device", arguments: { ...common, action: deviceAction(name as DeviceName, given) } };
}

type ProductName = Extract<RegistryCommandName, `product ${string}`>;
type DeviceName = Exclude<
  Extract<RegistryCommandName, `device ${string}`>,
  "device import" | "device certificate"
>;

function productAction(name: ProductName, { values, positionals }: Given): ProductAction {
  const [productKey, second, permission] = positionals;
  switch (name) {
    case "product create":
      return { verb: "create", fields: productFields(values) };
    case "product list":
      return { verb: "list" };
    case "product show":
      return { verb: "show", productKey };
    case "product update": {
      const fields = productFields(values);
      if (Object.values(fields).every((value) => value === undefined)) {
        const message = "nothing is to be changed: millrace product update --help lists what can be";
        throw new ConfigError("MISSING_ARGUMENT", "flags", message);
      }
      return { verb: "update", productKey, fields };
    }
    case "product delete":
      return { verb: "delete", productKey, withDevices: values["with-devices"] === true };
    case "product topic add":
      return { verb: "topic add", productKey, suffix: second, permission };
    case "product topic list":
      return { verb: "topic list", productKey };
    case "product topic delete":
      return { verb: "topic delete", productKey, suffix: second };
    case "product model":
      return { verb: "model", productKey, file: path(second, "FILE") };
  }
}

function deviceAction(name: DeviceName, { values, positionals }: Given): DeviceAction {
  const [productKey, deviceName] = positionals;
  switch (name) {
    case "device create":
      return {
        verb: "create",
        productKey,
        deviceName,
        deviceSecret: text(values, "device-secret"),
        nickname: text(values, "nickname"),
      };
    case "device list":
      return { verb: "list", productKey };
    case "device export":
      return { verb: "export", productKey };
    case "device show":
      return { verb: "show", productKey, deviceName };
    case "device enable":
      return { verb: "enable", productKey, deviceName };
    case "device disable":
      return { verb: "disable", productKey, deviceName };
    case "device reset":
      return { verb: "reset", productKey, deviceName };
    case "device delete":
      return { verb: "delete", productKey, deviceName };
  }
}

function productFields(values: Values): ProductFields {
  return {
    productKey: text(values, "product-key"),
    productSecret: text(values, "product-secret"),
    name: text(values, "name"),
    nodeType: text(values, "node-type"),
    authType: text(values, "auth"),
    dataFormat: text(values, "data-format"),
    dynamicRegistration: onOff(values, "dynamic-registration"),
    freeTopics: onOff(values, "free-topics"),
  };
}

function onOff(values: Values, name: string): boolean | undefined {
  const [on, off] = [values[name] === true, values[`no-${name}`] === true];
  if (on && off)
    throw new ConfigError("BAD_FLAG", `--${name}`, `--${name} and --no-${name} contradict each other`);
  return on ? true : off ? false : undefined;
}
