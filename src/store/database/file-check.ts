// Looks at a database file before the engine maps it into memory: the engine believes what it maps, and a foreign or cut
// file would end the process instead of the call. Reads only.
//
// The first two pages each hold a meta record behind a head of 24 bytes; a third one, the newest that is known to be flushed,
// stands in the middle of the first page and is zero while there is none. Little-endian:
//   24 magic u32 | 48 page size u32 | 52 flags u16 | 88 root of the free list u64 | 136 root of the table u64 |
//   144 last page u64 | 152 transaction u64 | 160 boot id u64
// A page: 0 number u64 | 18 flags u16 | 20 bytes of the list of nodes u16 | 24 list of nodes u16, counted from 24
// A node: 0 low u16 | 2 high u16 | 4 flags u16 | 6 key length u16 | 8 key, then the value
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { causeText, corrupt, StoreFileError, storeError } from "../contract/store-errors.ts";

const MAGIC = 0xbeefc0de;
const META_END = 168;
const PAGE_HEAD = 24;
const PAGE_SIZES = [512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536];
/** Flag of a meta record whose commit is not known to be flushed. */
const UNFLUSHED = 0x1000;
const BRANCH = 1;
const LEAF = 2;
const NODE_OVERFLOW = 1;
const NODE_TABLE = 2;
const NO_PAGE = 0xffffffffffffffffn;
const MAX_DEPTH = 64;

interface Meta {
  readonly flags: number;
  readonly roots: readonly bigint[];
  readonly lastPage: number;
  readonly transaction: bigint;
  readonly boot: bigint;
}

/** Throws an OperationError unless `path` can be opened by the engine. */
export function checkDatabaseFile(path: string): void {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    throw storeError("STORE_OPEN", `${path} cannot be opened: ${causeText(error)}`, error);
  }
  try {
    check(path, fd);
  } catch (error) {
    if (error instanceof StoreFileError) throw corrupt(path, error.message, error);
    throw error;
  } finally {
    closeSync(fd);
  }
}

function check(path: string, fd: number): void {
  const found = fstatSync(fd);
  if (!found.isFile()) throw foreign(path);
  const head = Buffer.alloc(META_END);
  if (readSync(fd, head, 0, META_END, 0) < META_END || head.readUInt32LE(24) !== MAGIC) throw foreign(path);
  const pageSize = head.readUInt32LE(48);
  if (!PAGE_SIZES.includes(pageSize)) throw new StoreFileError("impossible page size");
  if (found.size < 2 * pageSize) throw new StoreFileError("it is cut off");
  const meta = pick(pick(readMeta(fd, 0), readMeta(fd, pageSize)), readMeta(fd, pageSize / 2, true));
  // Free pages at the end need not be there: only where the file is short everything in use is looked at.
  const pages = Math.floor(found.size / pageSize);
  if (meta.lastPage < pages) return;
  for (const root of meta.roots) if (root !== NO_PAGE) walk(fd, pageSize, pages, Number(root), 0);
}

function readMeta(fd: number, at: number, mayMiss = false): Meta {
  const bytes = Buffer.alloc(META_END);
  const read = readSync(fd, bytes, 0, META_END, at);
  // The flushed record in the middle of the first page carries no magic.
  if (!mayMiss && (read < META_END || bytes.readUInt32LE(24) !== MAGIC))
    throw new StoreFileError("a meta page is overwritten or cut off");
  return {
    flags: bytes.readUInt16LE(52),
    roots: [bytes.readBigUInt64LE(88), bytes.readBigUInt64LE(136)],
    lastPage: Number(bytes.readBigUInt64LE(144)),
    transaction: bytes.readBigUInt64LE(152),
    boot: bytes.readBigUInt64LE(160),
  };
}

/** The one of two the engine goes by: the newer, unless that may have lost pages with the power. */
function pick(a: Meta, b: Meta): Meta {
  if (b.transaction === 0n) return a;
  const [older, newer] = a.transaction >= b.transaction ? [b, a] : [a, b];
  const sameBoot = newer.boot !== 0n && newer.boot === bootId();
  return sameBoot || (newer.flags & UNFLUSHED) === 0 ? newer : older;
}

/** As the engine writes it: the first group of the system's id. */
function bootId(): bigint {
  try {
    const text = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").split("-")[0];
    return BigInt(`0x${text}`);
  } catch {
    return 0n;
  }
}

/** Throws where a page in use lies beyond the end of the file. */
function walk(fd: number, pageSize: number, pages: number, number: number, depth: number): void {
  if (number >= pages) throw new StoreFileError(`it is cut off: page ${number} is missing`);
  if (depth > MAX_DEPTH) throw new StoreFileError("its pages go in circles");
  const page = Buffer.alloc(pageSize);
  readSync(fd, page, 0, pageSize, number * pageSize);
  const flags = page.readUInt16LE(18);
  if ((flags & (BRANCH | LEAF)) === 0) throw new StoreFileError(`page ${number} is not one of a tree`);
  const end = Math.min(PAGE_HEAD + page.readUInt16LE(20), pageSize);
  for (let entry = PAGE_HEAD; entry + 2 <= end; entry += 2) {
    const node = PAGE_HEAD + page.readUInt16LE(entry);
    if (node + 8 > pageSize) throw new StoreFileError(`page ${number} has a broken node`);
    const low = page.readUInt32LE(node);
    const nodeFlags = page.readUInt16LE(node + 4);
    if ((flags & BRANCH) !== 0) {
      walk(fd, pageSize, pages, low + nodeFlags * 0x100000000, depth + 1);
      continue;
    }
    const value = node + 8 + page.readUInt16LE(node + 6);
    if ((nodeFlags & NODE_OVERFLOW) !== 0) {
      const first = Number(page.readBigUInt64LE(value));
      if (first + Math.ceil((PAGE_HEAD + low) / pageSize) > pages)
        throw new StoreFileError(`it is cut off: page ${first} is missing`);
    } else if ((nodeFlags & NODE_TABLE) !== 0) {
      const root = page.readBigUInt64LE(value + 40);
      if (root !== NO_PAGE) walk(fd, pageSize, pages, Number(root), depth + 1);
    }
  }
}

function foreign(path: string): Error {
  return storeError(
    "STORE_FOREIGN",
    `${path} is not a Millrace store; it was left as it is. Move it away, or choose another data directory with --data`,
  );
}
