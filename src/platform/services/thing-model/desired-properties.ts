// What the server's side wants of a device's properties: each with a version that grows by one with every change, also
// over a deletion, so that who deletes an old wish cannot take a new one. On the disk when a promise resolves.
import { OperationError } from "../../../errors.ts";
import type { DocumentDraft, Documents } from "../../registry/table/documents.ts";
import type { DeviceId } from "../../names/user-name.ts";
import { plainObject } from "../../shared/json.ts";

export interface DesiredProperty {
  readonly value: unknown;
  readonly version: number;
}

interface Wish {
  /** undefined: deleted; its version goes on. */
  readonly value?: unknown;
  readonly version: number;
}

/** Kind of the documents. */
const KIND = "desired";

export interface DesiredParts {
  readonly documents: Documents;
  readonly maxProperties: number;
  readonly maxPropertyBytes: number;
}

export class DesiredProperties {
  readonly #parts: DesiredParts;

  constructor(parts: DesiredParts) {
    this.#parts = parts;
  }

  /** Those with these names, or all. */
  get(device: DeviceId, ids?: readonly string[]): { readonly [id: string]: DesiredProperty } {
    const wishes = decode(this.#parts.documents.get(KIND, keyOf(device)));
    const wanted = ids === undefined ? undefined : new Set(ids);
    return plainObject(
      [...wishes].flatMap(([id, { value, version }]) =>
        value !== undefined && (wanted === undefined || wanted.has(id))
          ? [[id, { value, version }] as const]
          : [],
      ),
    );
  }

  /**
   * `versions`: those the caller has read (0: never set); others throw OperationError THING_VERSION and nothing changes.
   * Resolves to the new versions.
   */
  set(
    device: DeviceId,
    values: ReadonlyMap<string, unknown>,
    versions: ReadonlyMap<string, number>,
  ): Promise<{ readonly [id: string]: number }> {
    return this.#edit(device, (wishes) => {
      const made: [string, number][] = [];
      for (const [id, value] of values) {
        const before = wishes.get(id)?.version ?? 0;
        const expected = versions.get(id);
        if (expected !== undefined && expected !== before) {
          const message = `versions: "${id}" has version ${before}, not ${expected}: read it again`;
          throw new OperationError("THING_VERSION", message);
        }
        wishes.set(id, { value, version: before + 1 });
        made.push([id, before + 1]);
      }
      return plainObject(made);
    });
  }

  /** Takes wishes away; a version other than the kept one leaves that wish. Nothing to do writes nothing. */
  async delete(device: DeviceId, versions: ReadonlyMap<string, number | undefined>): Promise<void> {
    const present = this.get(device, [...versions.keys()]);
    if (Object.keys(present).length === 0) return;
    await this.#edit(device, (wishes) => {
      for (const [id, expected] of versions) {
        const before = wishes.get(id);
        if (before?.value === undefined || (expected !== undefined && expected !== before.version)) continue;
        wishes.set(id, { version: before.version });
      }
    });
  }

  forget(device: DeviceId): Promise<void> {
    return this.#parts.documents.set(KIND, keyOf(device), undefined);
  }

  #edit<T>(device: DeviceId, change: (wishes: Map<string, Wish>) => T): Promise<T> {
    const { documents, maxProperties, maxPropertyBytes } = this.#parts;
    return documents.edit((draft: DocumentDraft) => {
      const wishes = decode(draft.get(KIND, keyOf(device)));
      const result = change(wishes);
      const text = encode(wishes);
      if (wishes.size > maxProperties || text.length > maxPropertyBytes) {
        const most = `${maxProperties} properties, ${maxPropertyBytes} bytes`;
        throw new OperationError("THING_SIZE", `values: a device has at most ${most} of desired properties`);
      }
      draft.set(KIND, keyOf(device), text);
      return result;
    });
  }
}

function encode(wishes: ReadonlyMap<string, Wish>): string {
  return JSON.stringify(
    [...wishes].map(([id, { value, version }]) => [id, version, ...(value === undefined ? [] : [value])]),
  );
}

function decode(text: string | undefined): Map<string, Wish> {
  const wishes = new Map<string, Wish>();
  if (text === undefined) return wishes;
  for (const [id, version, value] of JSON.parse(text) as [string, number, unknown?][])
    wishes.set(id, { version, value });
  return wishes;
}

function keyOf({ productKey, deviceName }: DeviceId): string {
  return `${productKey}/${deviceName}`;
}
