// Looks at a database file before the engine maps it into memory: the engine believes what it maps, and a foreign or cut
// file would end the process instead of the call. Reads only.
//
// The file begins with two pages that each hold one meta record behind a head of 24 bytes (and a third one in the middle
// of the first page, the newest that is known to be flushed; it is zero where there was none yet):
//   24 magic u32 | version u32 | 40 map size u64 | 48 page size u32 | … | 144 last page u64 | 152 transaction u64
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { causeText, corrupt, storeError } from "./store-errors.ts";

const MAGIC = 0xbeefc0de;
const META_END = 168;
const PAGE_SIZES = [512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536];

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
  } finally {
    closeSync(fd);
  }
}

function check(path: string, fd: number): void {
  const found = fstatSync(fd);
  if (!found.isFile()) throw foreign(path);
  const head = Buffer.alloc(META_END);
  if (readSync(fd, head, 0, META_END, 0) < META_END) throw foreign(path);
  if (head.readUInt32LE(24) !== MAGIC) throw foreign(path);
  const pageSize = head.readUInt32LE(48);
  if (!PAGE_SIZES.includes(pageSize)) throw corrupt(path, "impossible page size");
  let lastPage = -1;
  let newest = -1;
  for (const offset of [0, pageSize]) {
    const meta = Buffer.alloc(META_END);
    if (readSync(fd, meta, 0, META_END, offset) < META_END) throw corrupt(path, "it is cut off");
    if (meta.readUInt32LE(24) !== MAGIC) throw corrupt(path, "a meta page is overwritten");
    const transaction = Number(meta.readBigUInt64LE(152));
    if (transaction < newest) continue;
    newest = transaction;
    lastPage = Number(meta.readBigUInt64LE(144));
  }
  // Pages at the end that are free need not be there: only what lies within a page of the end can be judged from here.
  if (newest > 0 && found.size < 2 * pageSize) throw corrupt(path, "it is cut off");
  if (newest > 0 && rootPage(fd, pageSize) * pageSize + pageSize > found.size)
    throw corrupt(path, `it is cut off: ${found.size} bytes of about ${(lastPage + 1) * pageSize}`);
}

/** The root page of the newest state; it is beyond the end where the file was cut. */
function rootPage(fd: number, pageSize: number): number {
  let root = 0n;
  let newest = -1n;
  for (const offset of [0, pageSize]) {
    const meta = Buffer.alloc(META_END);
    readSync(fd, meta, 0, META_END, offset);
    const transaction = meta.readBigUInt64LE(152);
    if (transaction > newest) {
      newest = transaction;
      // Of the main table: at 96 + 40; all ones while it is empty.
      root = meta.readBigUInt64LE(136);
    }
  }
  return root === 0xffffffffffffffffn ? 0 : Number(root);
}

function foreign(path: string): Error {
  return storeError(
    "STORE_FOREIGN",
    `${path} is not a Millrace store; it was left as it is. Move it away, or choose another data directory with --data`,
  );
}
