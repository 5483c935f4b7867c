// The store of a start, by level of durability. The engine is loaded only where a level needs it.
import { existsSync } from "node:fs";
import type { Logger } from "../../logger.ts";
import { type DurableStore, openStore, storeDirectory } from "../../store/open-store.ts";
import type { Durability } from "../arguments/arguments.ts";

/** undefined at level none: the broker then keeps everything in memory. */
export async function openLevel(
  level: Durability,
  dataDirectory: string,
  logger: Logger,
): Promise<DurableStore | undefined> {
  if (level !== "none") return openStore({ directory: dataDirectory, level, logger });
  const path = storeDirectory(dataDirectory);
  if (existsSync(path))
    logger.warn({ path }, "durability none: the sessions and messages kept there are left alone, not served");
  return undefined;
}
