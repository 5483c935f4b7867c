// Makes a store out of the JSON lines of export.ts: all of them, or nothing. It grows in a directory of its own and is moved
// into place when the last line has been understood; an error names the line.
import { rmSync } from "node:fs";
import { makeDirectory, PRIVATE } from "../runtime/directories.ts";
import { MESSAGE_HEAD, NO_OFFSET } from "../core/generated/abi.ts";
import { viewMessage } from "../core/message-view.ts";
import { moveIntoPlace, requireNoStore } from "./backup.ts";
import { Changes } from "./contract/changes.ts";
import { EXPORT_VERSION } from "./export.ts";
import { LmdbFile } from "./database/lmdb-file.ts";
import { storeDirectory } from "./open-store.ts";
import { DELIVERED } from "./contract/records.ts";
import { DELIVERY_WORDS } from "./contract/store.ts";
import { causeText, storeError } from "./contract/store-errors.ts";

/** Bytes after which what has been read is written. */
const GROUP_BYTES = 4_194_304;
const SEGMENT_BYTES = 1_048_576;

type Entry = Record<string, unknown>;

/** Imports into a data directory without a store. Returns the number of lines. */
export async function importStore(lines: AsyncIterable<string>, dataDirectory: string): Promise<number> {
  requireNoStore(dataDirectory);
  const aside = `${storeDirectory(dataDirectory)}.importing`;
  let line = 0;
  try {
    rmSync(aside, { recursive: true, force: true });
    makeDirectory(aside, PRIVATE);
    const file = await LmdbFile.open(aside);
    try {
      const importer = new Importer(file);
      for await (const text of lines) {
        line++;
        if (text.trim() !== "") await importer.take(text);
      }
      line++;
      await importer.end();
    } finally {
      await file.close();
    }
    moveIntoPlace(aside, dataDirectory);
    return line - 1;
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    if ((error as { name?: string }).name === "OperationError") throw error;
    const at = error instanceof LineError ? `line ${line}: ` : "";
    throw storeError("STORE_IMPORT", `nothing was imported: ${at}${causeText(error)}`, error);
  }
}

class LineError extends Error {}

class Importer {
  readonly #file: LmdbFile;
  readonly #ids = new Map<string, number>();
  #changes = new Changes();
  #begun = false;
  #segment: SegmentBuilder | undefined;
  #serial = 0;

  constructor(file: LmdbFile) {
    this.#file = file;
  }

  async take(text: string): Promise<void> {
    const entry = parse(text);
    if (!this.#begun) {
      if (entry.type !== "millrace")
        throw new LineError('the first line must be {"type":"millrace","version":1}');
      if (entry.version !== EXPORT_VERSION)
        throw new LineError(
          `version ${String(entry.version)} is not known; this release knows ${EXPORT_VERSION}`,
        );
      this.#begun = true;
      return;
    }
    this.#put(entry);
    if (this.#segment !== undefined && this.#segment.bytes >= SEGMENT_BYTES) this.#endSegment();
    if (this.#changes.bytes >= GROUP_BYTES) await this.#write();
  }

  async end(): Promise<void> {
    if (!this.#begun) throw new LineError("there is nothing in it");
    this.#endSegment();
    await this.#write();
  }

  async #write(): Promise<void> {
    const changes = this.#changes;
    this.#changes = new Changes();
    await this.#file.write(changes);
  }

  #put(entry: Entry): void {
    switch (entry.type) {
      case "session":
        this.#session(entry);
        return;
      case "subscription":
        this.#of(entry).subscriptions.set(string(entry, "filter"), number(entry, "options", 0xffffffff));
        break;
      case "cursor":
        this.#changes.cursors.set(this.#id(entry), bytes(entry, "cursor"));
        break;
      case "inbound": {
        const message = entry.message === undefined ? DELIVERED : messageOf(entry);
        this.#of(entry).inbound.set(number(entry, "packetId", 0xffff), message);
        this.#changes.bytes += message.length;
        break;
      }
      case "delivery":
        this.#delivery(entry);
        return;
      case "retained": {
        const message = messageOf(entry);
        this.#changes.retainedMessages.set(string(entry, "topic"), message);
        this.#changes.bytes += message.length;
        break;
      }
      default:
        throw new LineError(`the type ${JSON.stringify(entry.type)} is not known`);
    }
    this.#changes.bytes += 100;
  }

  #session(entry: Entry): void {
    const key = string(entry, "key");
    if (this.#ids.has(key)) throw new LineError(`the session ${JSON.stringify(key)} was there before`);
    const storeId = this.#ids.size + 1;
    this.#ids.set(key, storeId);
    const will = entry.will as Entry | undefined;
    this.#changes.of(storeId).record = {
      key,
      record: {
        storeId,
        clientId: string(entry, "clientId"),
        username: entry.username === undefined ? undefined : string(entry, "username"),
        policy: string(entry, "policy"),
        level: number(entry, "level", 255),
        expiryInterval: number(entry, "expiryInterval", 0xffffffff),
        expiresAt: entry.expiresAt === undefined ? undefined : number(entry, "expiresAt"),
        will: will === undefined ? undefined : { due: number(will, "due"), message: messageOf(will) },
      },
    };
    this.#changes.bytes += 200;
  }

  #delivery(entry: Entry): void {
    this.#segment ??= new SegmentBuilder();
    const packetId = entry.packetId === undefined ? 0 : number(entry, "packetId", 0xffff);
    this.#segment.add(
      this.#id(entry),
      number(entry, "position", 0xffffffff),
      string(entry, "message"),
      () => messageOf(entry),
      (number(entry, "options", 0xffff) | (packetId << 16)) >>> 0,
      entry.subscriptionIds,
      entry.group === undefined ? 0 : number(entry, "group", 0xffffffff),
    );
  }

  #endSegment(): void {
    const segment = this.#segment?.seal();
    this.#segment = undefined;
    if (segment === undefined) return;
    const serial = ++this.#serial;
    this.#changes.segments.set(serial, { serial, ...segment });
    this.#changes.bytes += segment.bytes.length + segment.deliveries.byteLength;
  }

  #id(entry: Entry): number {
    const key = string(entry, "session");
    const id = this.#ids.get(key);
    if (id === undefined)
      throw new LineError(`there is no line before it for the session ${JSON.stringify(key)}`);
    return id;
  }

  #of(entry: Entry): ReturnType<Changes["of"]> {
    return this.#changes.of(this.#id(entry));
  }
}

/** Collects deliveries; a message that several sessions are owed in a row is kept once. */
class SegmentBuilder {
  bytes = 0;
  readonly #parts: Buffer[] = [];
  readonly #words: number[] = [];
  #text = "";
  #offset = 0;

  add(
    storeId: number,
    position: number,
    text: string,
    message: () => Buffer,
    options: number,
    ids: unknown,
    group: number,
  ): void {
    if (text !== this.#text || this.#parts.length === 0) {
      this.#offset = this.#append(message());
      this.#text = text;
    }
    this.#words.push(storeId, position, this.#offset, options, this.#appendIds(ids), group);
  }

  #appendIds(ids: unknown): number {
    if (ids === undefined) return NO_OFFSET;
    if (
      !Array.isArray(ids) ||
      ids.length === 0 ||
      !ids.every((id) => Number.isInteger(id) && id > 0 && id < 2 ** 28)
    )
      throw new LineError("`subscriptionIds` must be a list of subscription identifiers");
    const list = Buffer.alloc(4 + ids.length * 4);
    list.writeUInt32LE(ids.length, 0);
    for (let i = 0; i < ids.length; i++) list.writeUInt32LE(ids[i] as number, 4 + i * 4);
    return this.#append(list);
  }

  /** Everything in a segment begins at a multiple of eight. */
  #append(part: Buffer): number {
    const at = this.bytes;
    const padding = -part.length & 7;
    this.#parts.push(part);
    if (padding > 0) this.#parts.push(Buffer.alloc(padding));
    this.bytes += part.length + padding;
    return at;
  }

  seal(): { bytes: Buffer; deliveries: Uint32Array } {
    if (this.#words.length % DELIVERY_WORDS !== 0)
      throw new Error("an index is not made of whole deliveries");
    return { bytes: Buffer.concat(this.#parts), deliveries: Uint32Array.from(this.#words) };
  }
}

function parse(text: string): Entry {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new LineError(`it is not JSON: ${causeText(error)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new LineError("it is not a JSON object");
  return value as Entry;
}

function string(entry: Entry, name: string): string {
  const value = entry[name];
  if (typeof value !== "string") throw new LineError(`\`${name}\` must be a string`);
  return value;
}

function number(entry: Entry, name: string, maximum = Number.MAX_SAFE_INTEGER): number {
  const value = entry[name];
  if (typeof value !== "number" || value < 0 || value > maximum || !Number.isFinite(value))
    throw new LineError(`\`${name}\` must be a number from 0 to ${maximum}`);
  return value;
}

function bytes(entry: Entry, name: string): Buffer {
  const text = string(entry, name);
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text))
    throw new LineError(`\`${name}\` must be Base64`);
  return Buffer.from(text, "base64");
}

/** A canonical message, as far as its head tells. */
function messageOf(entry: Entry): Buffer {
  const message = bytes(entry, "message");
  if (message.length < MESSAGE_HEAD) throw new LineError("`message` is shorter than a message's head");
  const view = viewMessage(message, 0);
  if (view.size + view.external !== message.length)
    throw new LineError("`message` has another length than it says");
  return message;
}
