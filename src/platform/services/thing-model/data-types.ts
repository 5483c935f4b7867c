// Data types of a thing model (TSL) and what a value of them may be. A value that does not fit is told with the platform's
// code; a type this file does not know fits everything. Pure: values in, faults out.
import { isObject, type JsonObject, own } from "../../shared/json.ts";

export interface Fault {
  readonly code: number;
  readonly message: string;
}

export type DataType =
  | { readonly kind: "int" | "float" | "double"; readonly min: number; readonly max: number }
  | { readonly kind: "text"; readonly maxBytes: number }
  | { readonly kind: "date" | "any" }
  | { readonly kind: "bool" | "enum"; readonly values: ReadonlySet<string> }
  | { readonly kind: "struct"; readonly fields: Fields }
  | { readonly kind: "array"; readonly size: number; readonly item: DataType };

/** By identifier. */
export type Fields = ReadonlyMap<string, DataType>;

/** Levels of structs and arrays in a type; what is deeper is not checked. */
const MAX_TYPE_DEPTH = 8;
const ANY: DataType = { kind: "any" };
const INT_MIN = -0x8000_0000;
const INT_MAX = 0x7fff_ffff;
const BOOLEANS = ["0", "1"];

/** `type` is the `dataType` of a TSL entry, or the `item` of an array. */
export function readDataType(type: unknown, depth = 0): DataType {
  if (!isObject(type) || depth > MAX_TYPE_DEPTH) return ANY;
  const specs = own(type, "specs");
  const spec = isObject(specs) ? specs : {};
  const kind = own(type, "type");
  switch (kind) {
    case "int":
      return { kind, min: bound(spec, "min", INT_MIN), max: bound(spec, "max", INT_MAX) };
    case "float":
    case "double":
      return { kind, min: bound(spec, "min", -Infinity), max: bound(spec, "max", Infinity) };
    case "text":
      return { kind, maxBytes: bound(spec, "length", Infinity) };
    case "date":
      return { kind };
    case "bool":
      return { kind, values: new Set(BOOLEANS) };
    case "enum":
      return { kind, values: new Set(Object.keys(spec)) };
    case "struct":
      return { kind, fields: readFields(specs, depth + 1) };
    case "array":
      return {
        kind,
        size: bound(spec, "size", Infinity),
        item: readDataType(own(spec, "item"), depth + 1),
      };
    default:
      return ANY;
  }
}

/** Of a list with `identifier` and `dataType` each; what is no such entry is passed over. */
export function readFields(list: unknown, depth = 0): Fields {
  const fields = new Map<string, DataType>();
  if (!Array.isArray(list)) return fields;
  for (const entry of list) {
    if (!isObject(entry)) continue;
    const identifier = own(entry, "identifier");
    if (typeof identifier === "string") fields.set(identifier, readDataType(own(entry, "dataType"), depth));
  }
  return fields;
}

/** TSL writes numbers as texts. */
function bound(spec: JsonObject, name: string, otherwise: number): number {
  const value = own(spec, name);
  const number =
    typeof value === "number" || (typeof value === "string" && value !== "") ? Number(value) : NaN;
  return Number.isNaN(number) ? otherwise : number;
}

/** undefined: it fits. */
export function checkValue(type: DataType, value: unknown): Fault | undefined {
  switch (type.kind) {
    case "int":
      return Number.isInteger(value) && inRange(value, type) ? undefined : fault(6306, "int", range(type));
    case "float":
      return inRange(value, type) ? undefined : fault(6307, "float", range(type));
    case "double":
      return inRange(value, type) ? undefined : fault(6322, "double", range(type));
    case "bool":
      return isOneOf(value, type.values) ? undefined : fault(6308, "bool", "is 0 or 1");
    case "enum":
      return isOneOf(value, type.values)
        ? undefined
        : fault(6309, "enum", `is one of ${[...type.values].join(", ")}`);
    case "text":
      return typeof value === "string" && Buffer.byteLength(value) <= type.maxBytes
        ? undefined
        : fault(6310, "text", `has at most ${type.maxBytes} bytes`);
    case "date":
      return typeof value === "string" && /^\d{1,16}$/.test(value)
        ? undefined
        : fault(6311, "date", "is a text of milliseconds since 1970");
    case "struct":
      return isObject(value) ? checkFields(type.fields, value) : fault(6312, "struct", "is an object");
    case "array":
      return checkArray(type, value);
    case "any":
      return undefined;
  }
}

/** Every field that is there fits; none must be there. */
export function checkFields(fields: Fields, value: JsonObject): Fault | undefined {
  for (const [name, inner] of Object.entries(value)) {
    const type = fields.get(name);
    const found = type === undefined ? unknownName(name) : checkValue(type, inner);
    if (found !== undefined) return found;
  }
  return undefined;
}

export function unknownName(name: string): Fault {
  return { code: 6304, message: `tsl parse: params not exist -> ${name}` };
}

function checkArray(type: DataType & { kind: "array" }, value: unknown): Fault | undefined {
  if (!Array.isArray(value)) return fault(6328, "array", "is a list");
  if (value.length > type.size) return fault(6324, "array", `has at most ${type.size} items`);
  for (const item of value) {
    const found = checkValue(type.item, item);
    if (found !== undefined) return found;
  }
  return undefined;
}

function inRange(value: unknown, { min, max }: { readonly min: number; readonly max: number }): boolean {
  return typeof value === "number" && value >= min && value <= max;
}

function isOneOf(value: unknown, values: ReadonlySet<string>): boolean {
  return typeof value === "number" && values.has(String(value));
}

function range({ min, max }: { readonly min: number; readonly max: number }): string {
  return `is a number from ${min} to ${max}`;
}

function fault(code: number, type: string, wanted: string): Fault {
  return { code, message: `tsl parse: params ${type} error -> ${wanted}` };
}
