// What a product is, what a new one is given, and what its fields may hold. Objects handed out are never changed.
// The thing model is no field: it may be large and is asked for by itself.
import { ConfigError } from "../../../errors.ts";
import {
  checkTopicClass,
  DEFAULT_CLASSES,
  MAX_TOPIC_CLASSES,
  type TopicClass,
} from "../../names/topic-classes.ts";
import { isProductKey } from "../../names/user-name.ts";
import { newProductKey, newProductSecret } from "./secrets.ts";

export interface Product {
  readonly productKey: string;
  readonly productSecret: string;
  /** Unique in the registry. Default: the ProductKey. */
  readonly name: string;
  readonly nodeType: "device" | "gateway";
  readonly authType: "secret" | "x509";
  readonly dataFormat: "alink" | "raw";
  /** [DYN-1] */
  readonly dynamicRegistration: boolean;
  /** [TOPIC-10] */
  readonly freeTopics: boolean;
  readonly topicClasses: readonly TopicClass[];
  /** ms since the epoch. */
  readonly createdAt: number;
}

/** What is left out gets the value of a new product; keys and secrets are made. */
export type NewProduct = Partial<Product>;
/** What is left out stays. */
export type ProductChanges = Partial<Omit<Product, "productKey" | "createdAt">>;

/** Bytes of a thing model (TSL) in UTF-8. */
const MAX_MODEL_BYTES = 262_144;

const NODE_TYPES: readonly string[] = ["device", "gateway"];
const AUTH_TYPES: readonly string[] = ["secret", "x509"];
const DATA_FORMATS: readonly string[] = ["alink", "raw"];

/** What cannot be left out of a product. */
type ProductCore = Pick<Product, "productKey" | "productSecret" | "createdAt">;

export function withDefaults(fields: ProductCore & NewProduct): Product {
  return {
    productKey: fields.productKey,
    productSecret: fields.productSecret,
    name: fields.name ?? fields.productKey,
    nodeType: fields.nodeType ?? "device",
    authType: fields.authType ?? "secret",
    dataFormat: fields.dataFormat ?? "alink",
    dynamicRegistration: fields.dynamicRegistration ?? false,
    freeTopics: fields.freeTopics ?? false,
    topicClasses: fields.topicClasses ?? DEFAULT_CLASSES, // [TOPIC-3]
    createdAt: fields.createdAt,
  };
}

export function completeProduct(fields: NewProduct): Product {
  const product = withDefaults({
    ...fields,
    productKey: fields.productKey ?? newProductKey(),
    productSecret: fields.productSecret ?? newProductSecret(),
    createdAt: fields.createdAt ?? Date.now(),
  });
  checkProduct(product);
  return product;
}

/** Throws ConfigError REGISTRY_ENTRY that names the field. */
export function checkProduct(product: Product): void {
  const { productKey, productSecret, name, nodeType, authType, dataFormat, topicClasses } = product;
  if (!isProductKey(productKey))
    throw invalidEntry("productKey", `"${productKey}": use 1 to 32 letters and digits`);
  checkSecret("productSecret", productSecret);
  if (name !== productKey) checkWords("name", name, 30);
  oneOf("nodeType", nodeType, NODE_TYPES);
  oneOf("authType", authType, AUTH_TYPES);
  oneOf("dataFormat", dataFormat, DATA_FORMATS);
  for (const field of ["dynamicRegistration", "freeTopics"] as const)
    if (typeof product[field] !== "boolean") throw invalidEntry(field, "is true or false");
  if (topicClasses.length > MAX_TOPIC_CLASSES)
    throw invalidEntry("topicClasses", `a product has ${MAX_TOPIC_CLASSES} at most: delete one first`); // [TOPIC-4]
  const seen = new Set<string>();
  for (const topicClass of topicClasses) {
    const defect = checkTopicClass(topicClass);
    if (defect !== undefined) throw invalidEntry("topicClasses", defect);
    if (seen.has(topicClass.suffix))
      throw invalidEntry("topicClasses", `suffix "${topicClass.suffix}" stands twice`);
    seen.add(topicClass.suffix);
  }
}

/** A thing model is kept as it is; it must be a JSON object. */
export function checkModel(text: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_MODEL_BYTES)
    throw invalidEntry("model", `has ${bytes} bytes; a thing model has ${MAX_MODEL_BYTES} at most`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalidEntry("model", `is not JSON: ${(error as Error).message}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalidEntry("model", "is no JSON object: give the product's TSL");
}

const MAX_SECRET = 128;

/** Secrets brought along may have any form a device can hold. */
export function checkSecret(field: string, secret: string): void {
  if (typeof secret !== "string" || secret === "") throw invalidEntry(field, "is empty");
  if (secret.length > MAX_SECRET || hasControl(secret))
    throw invalidEntry(field, `has at most ${MAX_SECRET} characters, none of them a control character`);
}

/** A name for people: 4 to `most` characters, where one beyond ASCII counts two. */
export function checkWords(field: string, text: string, most: number): void {
  let length = 0;
  for (const character of text) length += character > "\x7f" ? 2 : 1;
  if (length < 4 || length > most)
    throw invalidEntry(field, `"${text}": use 4 to ${most} characters (one beyond ASCII counts two)`);
  if (hasControl(text)) throw invalidEntry(field, "holds a control character");
}

function hasControl(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return /[\x00-\x1f\x7f\ud800-\udfff]/u.test(text);
}

function oneOf(field: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) throw invalidEntry(field, `"${value}": use ${allowed.join(" or ")}`);
}

export function invalidEntry(field: string, message: string): ConfigError {
  return new ConfigError("REGISTRY_ENTRY", field, `${field}: ${message}`);
}
