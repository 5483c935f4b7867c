// `millrace backup` and `millrace restore`. A running broker makes the backup itself, since it alone knows what it has
// promised; without one this process opens the store.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { OperationError } from "../../errors.ts";
import { hasRegistry, openRegistry } from "../../platform/registry/index.ts";
import { DATABASE_FILE } from "../../store/database/lmdb-file.ts";
import type { CopyArguments } from "../arguments/arguments.ts";
import { makeBackup, restoreInto } from "../data/backup.ts";
import { backupThroughControl } from "../control/control-client.ts";
import { DEFAULTS } from "../config/defaults.ts";
import { holdDirectory, useStore } from "../data/offline.ts";

/** Returns what to tell the user. */
export async function runBackup(given: CopyArguments): Promise<string> {
  const directory = resolve(given.directory);
  const dataDirectory = resolve(given.data ?? DEFAULTS.data);
  await useStore(dataDirectory, "backup", {
    stopped: async (store) => {
      const registry = hasRegistry(dataDirectory) ? await openRegistry(dataDirectory) : undefined;
      try {
        await makeBackup(store, registry, dataDirectory, directory);
      } finally {
        await registry?.close();
      }
    },
    running: () => backupByBroker(dataDirectory, directory),
  });
  return `${dataDirectory} is backed up in ${directory}`;
}

export async function backupByBroker(dataDirectory: string, directory: string): Promise<void> {
  await backupThroughControl(dataDirectory, directory);
  if (existsSync(join(directory, DATABASE_FILE))) return;
  const message =
    `the broker has written ${directory}, but it is not to be seen from here: the broker has other directories ` +
    "(a container, a private /tmp); name one that both see";
  throw new OperationError("BACKUP_ELSEWHERE", message);
}

/** Returns what to tell the user. */
export async function runRestore(given: CopyArguments): Promise<string> {
  const backup = resolve(given.directory);
  const dataDirectory = resolve(given.data ?? DEFAULTS.data);
  await holdDirectory(dataDirectory, "restore", () => restoreInto(dataDirectory, backup));
  return `${backup} is restored to ${dataDirectory}`;
}
