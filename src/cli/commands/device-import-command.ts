// `millrace device import`: triples out of a file into the registry, all of them or nothing. Reads in pieces, waits for each
// piece to be taken, tells of every bad row as it comes, and how far it is.
import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { messageOf } from "../../access/atomic-file.ts";
import { OperationError } from "../../errors.ts";
import {
  type BadRow,
  type ImportResult,
  type ImportRow,
  nothingImported,
} from "../../platform/registry/index.ts";
import { readRows } from "../registry/import-rows.ts";
import type { DeviceImportArguments } from "../arguments/registry-arguments.ts";
import { type Output, standardOutput } from "../registry/registry-output.ts";
import { printable } from "../registry/printable.ts";
import { type RegistryPort, useRegistry } from "../registry/registry-port.ts";

export interface ImportTerminal {
  readonly output: Output;
  /** Standard error. */
  readonly error: (text: string) => void;
  /** Standard error is a terminal: the progress line is written over itself. */
  readonly interactive: boolean;
}

/** Rows of one request: far below what a line of the control socket holds. */
const BATCH = 1_000;
const PROGRESS_MS = 1_000;

const TERMINAL: ImportTerminal = {
  output: standardOutput,
  error: (text) => void process.stderr.write(text),
  interactive: process.stderr.isTTY === true,
};

/** Returns what to tell the user. Throws where nothing was imported. */
export async function runDeviceImport(
  { file, json, data }: DeviceImportArguments,
  terminal: ImportTerminal = TERMINAL,
): Promise<string> {
  const name = file ?? "standard input";
  const input = file === undefined ? process.stdin : createReadStream(resolve(file));
  // Where the directory is refused before anything is read, nobody else would listen.
  input.on("error", () => {});
  const report = new Report(json, terminal);
  try {
    const result = await useRegistry({ data, command: "device", creates: true }, (port) =>
      importRows(port, input, name, report),
    );
    await report.end(result);
    return (
      `devices imported: ${result.added}` +
      (result.unchanged > 0 ? `, there already: ${result.unchanged}` : "") +
      (result.products > 0 ? `, products created: ${result.products}` : "")
    );
  } catch (error) {
    await report.end({ error: messageOf(error) });
    throw error;
  } finally {
    input.destroy();
  }
}

async function importRows(
  port: RegistryPort,
  input: AsyncIterable<Buffer>,
  name: string,
  report: Report,
): Promise<ImportResult> {
  await port.call("import.begin");
  let misformed = 0;
  let read = 0;
  try {
    for await (const { rows, bad } of readRows(readable(input, name), name)) {
      misformed += bad.length;
      // What is wrong is found in two places, and told in the order of the lines.
      const found = [...bad];
      for (let from = 0; from < rows.length; from += BATCH) {
        const batch: readonly ImportRow[] = rows.slice(from, from + BATCH);
        found.push(...(await port.call<BadRow[]>("import.rows", { rows: batch })));
      }
      await report.bad(found.sort((a, b) => a.line - b.line));
      read += rows.length + bad.length;
      report.progress(read);
    }
    report.progress(read, true);
  } catch (error) {
    await port.call("import.abort").catch(() => undefined);
    throw error;
  }
  if (misformed === 0) return port.call<ImportResult>("import.finish");
  await port.call("import.abort");
  throw new OperationError("REGISTRY_IMPORT", nothingImported(report.badRows, read));
}

async function* readable(input: AsyncIterable<Buffer>, name: string): AsyncGenerator<Buffer> {
  try {
    yield* input;
  } catch (cause) {
    throw new OperationError("FILE_READ", `${name}: cannot be read: ${messageOf(cause)}`, { cause });
  }
}

/** Bad rows and progress on standard error; with --json one document on standard output, which grows as they come. */
class Report {
  badRows = 0;
  readonly #json: boolean;
  readonly #terminal: ImportTerminal;
  #told = 0;
  #shown = -1;
  #begun = false;

  constructor(json: boolean, terminal: ImportTerminal) {
    this.#json = json;
    this.#terminal = terminal;
  }

  async bad(rows: readonly BadRow[]): Promise<void> {
    if (rows.length === 0) return;
    this.#terminal.error(
      rows.map(({ line, message }) => `line ${line}: ${printable(message.replaceAll("\n", " "))}\n`).join(""),
    );
    if (this.#json) {
      const text = rows.map((row) => JSON.stringify(row)).join(",\n");
      await this.#terminal.output(`${this.badRows === 0 ? this.#head() : ",\n"}${text}`);
    }
    this.badRows += rows.length;
  }

  #head(): string {
    this.#begun = true;
    return '{"bad":[\n';
  }

  progress(read: number, last = false): void {
    if (!last && Date.now() - this.#told < PROGRESS_MS) return;
    const { interactive, error } = this.#terminal;
    if (last && !interactive && this.#shown === read) return;
    this.#told = Date.now();
    this.#shown = read;
    error(
      `${interactive ? "\r" : ""}${read} ${read === 1 ? "row" : "rows"} read${interactive && !last ? "" : "\n"}`,
    );
  }

  async end(outcome: object): Promise<void> {
    if (!this.#json) return;
    const head = this.#begun ? "" : this.#head();
    await this.#terminal.output(`${head}],${JSON.stringify(outcome).slice(1)}\n`);
  }
}
