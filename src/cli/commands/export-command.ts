// `millrace export` and `millrace import`: the store as JSON lines, see store/export.ts for their form. What a running
// broker has is exported from a backup it makes beside its store, so that the lines are of one moment.
import { createReadStream, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { exportStore, type LineSink } from "../../store/export.ts";
import { importStore } from "../../store/import.ts";
import { openStore, storeDirectory } from "../../store/open-store.ts";
import type { LinesArguments } from "../arguments/arguments.ts";
import { backupByBroker } from "./backup-command.ts";
import { alive } from "../data/data-directory.ts";
import { DEFAULTS } from "../config/defaults.ts";
import { EXIT_FAILED } from "./exit-codes.ts";
import { readLines, writeLines } from "../data/lines.ts";
import { holdDirectory, useStore } from "../data/offline.ts";

const COPY = /^exporting-(\d+)$/;

/** Returns what to tell the user. */
export async function runExport(given: LinesArguments): Promise<string> {
  const dataDirectory = resolve(given.data ?? DEFAULTS.data);
  const lines = await writeLines(given.file && resolve(given.file), (sink) =>
    useStore(dataDirectory, "export", {
      stopped: (store) => exportStore(store, sink),
      running: () => exportCopy(dataDirectory, sink),
    }),
  );
  return `${lines} lines exported from ${dataDirectory}`;
}

/** The broker makes the copy, so that it may, whoever runs this command; this process removes it. */
async function exportCopy(dataDirectory: string, sink: LineSink): Promise<void> {
  for (const name of readdirSync(dataDirectory)) {
    const pid = COPY.exec(name)?.[1];
    // What an export left that was killed; in a container it had our own id.
    if (pid !== undefined && (Number(pid) === process.pid || !alive(Number(pid))))
      rmSync(join(dataDirectory, name), { recursive: true, force: true });
  }
  const copy = join(dataDirectory, `exporting-${process.pid}`);
  const remove = (): void => rmSync(copy, { recursive: true, force: true });
  const interrupted = (): void => {
    remove();
    process.exit(EXIT_FAILED);
  };
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  try {
    await backupByBroker(dataDirectory, storeDirectory(copy));
    const store = await openStore({ directory: copy, level: "power" });
    try {
      await exportStore(store, sink);
    } finally {
      await store.close();
    }
  } finally {
    remove();
    process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
  }
}

/** Returns what to tell the user. */
export async function runImport(given: LinesArguments): Promise<string> {
  const dataDirectory = resolve(given.data ?? DEFAULTS.data);
  const input = given.file === undefined ? process.stdin : createReadStream(resolve(given.file));
  // Where the directory is refused before anything is read, nobody else would listen.
  input.on("error", () => {});
  const count = await holdDirectory(dataDirectory, "import", () =>
    importStore(readLines(input), dataDirectory),
  );
  return `${count} lines imported into ${dataDirectory}`;
}
