// What devices reported last: value and time of each property. Written in groups, see grouped-documents.ts: a post waits
// for no disk. Bounded per device in count and bytes. Values are kept as JSON text, so names in them are data.
import type { Documents } from "../../registry/table/documents.ts";
import type { DeviceId } from "../../names/user-name.ts";
import { GroupedDocuments } from "../../registry/table/grouped-documents.ts";
import { plainObject } from "../../shared/json.ts";
import type { Posted } from "./posts.ts";

export interface ReportedProperty {
  readonly value: unknown;
  /** ms since the epoch. */
  readonly time: number;
}

export interface PropertyStoreParts {
  readonly documents: Documents;
  readonly maxProperties: number;
  readonly maxPropertyBytes: number;
  readonly flushMs: number;
  readonly cacheBytes: number;
  failed(error: unknown): void;
}

interface Reported {
  readonly entries: Map<string, { readonly json: string; readonly time: number }>;
  bytes: number;
}

/** Kind of the documents. */
const KIND = "properties";
/** What a property costs besides name and value. */
const ENTRY_BYTES = 64;

export class PropertyStore {
  readonly #parts: PropertyStoreParts;
  readonly #kept: GroupedDocuments<Reported>;

  constructor(parts: PropertyStoreParts) {
    this.#parts = parts;
    this.#kept = new GroupedDocuments({
      documents: parts.documents,
      kind: KIND,
      flushMs: parts.flushMs,
      cacheBytes: parts.cacheBytes,
      encode,
      decode,
      costOf: ({ bytes }) => 256 + bytes,
      failed: parts.failed,
    });
  }

  /** As much waits for the disk as may: posts are to be refused. */
  get full(): boolean {
    return this.#kept.full;
  }

  /** Of two values of one property the later in the list stays. Returns the names there was no room for. */
  put(device: DeviceId, posted: readonly Posted[]): readonly string[] {
    if (posted.length === 0) return [];
    const key = keyOf(device);
    const reported = this.#kept.get(key) ?? { entries: new Map(), bytes: 0 };
    const { maxProperties, maxPropertyBytes } = this.#parts;
    const refused: string[] = [];
    for (const { id, value, time } of posted) {
      const json = JSON.stringify(value);
      const before = reported.entries.get(id);
      const bytes = reported.bytes + costOf(id, json) - (before === undefined ? 0 : costOf(id, before.json));
      if (bytes > maxPropertyBytes || (before === undefined && reported.entries.size >= maxProperties)) {
        refused.push(id);
        continue;
      }
      reported.entries.set(id, { json, time });
      reported.bytes = bytes;
    }
    this.#kept.set(key, reported);
    return refused;
  }

  get(device: DeviceId): { readonly [id: string]: ReportedProperty } {
    const entries = this.#kept.get(keyOf(device))?.entries ?? [];
    return plainObject(
      [...entries].map(([id, { json, time }]) => [id, { value: JSON.parse(json) as unknown, time }] as const),
    );
  }

  forget(device: DeviceId): Promise<void> {
    return this.#kept.remove(keyOf(device));
  }

  flush(): Promise<void> {
    return this.#kept.flush();
  }

  close(): Promise<void> {
    return this.#kept.close();
  }
}

/** `[["id",time,value],…]` */
function encode({ entries }: Reported): string {
  return `[${[...entries].map(([id, { json, time }]) => `[${JSON.stringify(id)},${time},${json}]`).join(",")}]`;
}

function decode(text: string): Reported {
  const reported: Reported = { entries: new Map(), bytes: 0 };
  for (const [id, time, value] of JSON.parse(text) as [string, number, unknown][]) {
    const json = JSON.stringify(value);
    reported.entries.set(id, { json, time });
    reported.bytes += costOf(id, json);
  }
  return reported;
}

function costOf(id: string, json: string): number {
  return ENTRY_BYTES + id.length + json.length;
}

function keyOf({ productKey, deviceName }: DeviceId): string {
  return `${productKey}/${deviceName}`;
}
