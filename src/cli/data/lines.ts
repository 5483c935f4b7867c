// Lines of text out to a file or standard output, and in from a stream, in bounded memory. A file appears under its name
// when its last line is on the disk.
import { existsSync } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import type { Readable, Writable } from "node:stream";
import { messageOf } from "../../access/atomic-file.ts";
import { OperationError } from "../../errors.ts";
import type { LineSink } from "../../store/export.ts";
import { LineReader } from "../control/line-reader.ts";

/** Characters collected for one write. */
const WRITE_CHARACTERS = 65_536;
/** The largest MQTT message in Base64, with room for what goes with it. */
const MAX_LINE_BYTES = 400_000_000;

/** `file` undefined: standard output. Resolves with the number of lines when they are written. */
export async function writeLines(
  file: string | undefined,
  produce: (sink: LineSink) => Promise<void>,
): Promise<number> {
  if (file === undefined) return writeTo("standard output", streamWriter(process.stdout), produce);
  if (existsSync(file)) {
    throw new OperationError("FILE_EXISTS", `${file} exists: name another file, or remove it first`);
  }
  const partial = `${file}.partial`;
  const handle = await open(partial, "w", 0o600).catch((error) => {
    throw cannotWrite(file, error);
  });
  try {
    const count = await writeTo(file, async (text) => void (await handle.appendFile(text)), produce);
    try {
      await handle.sync();
      await rename(partial, file);
    } catch (error) {
      throw cannotWrite(file, error);
    }
    return count;
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

async function writeTo(
  name: string,
  write: (text: string) => Promise<void>,
  produce: (sink: LineSink) => Promise<void>,
): Promise<number> {
  let count = 0;
  let text = "";
  const flush = async (): Promise<void> => {
    const piece = text;
    text = "";
    try {
      await write(piece);
    } catch (error) {
      throw cannotWrite(name, error);
    }
  };
  await produce((line) => {
    count++;
    text += `${line}\n`;
    return text.length < WRITE_CHARACTERS ? undefined : flush();
  });
  await flush();
  return count;
}

/** Waits for each write, so that a slow reader slows the producer down. */
function streamWriter(stream: Writable): (text: string) => Promise<void> {
  // The write's callback tells it too.
  stream.on("error", () => {});
  return (text) =>
    new Promise((resolve, reject) => stream.write(text, (error) => (error ? reject(error) : resolve())));
}

function cannotWrite(name: string, error: unknown): OperationError {
  return new OperationError("FILE_WRITE", `${name}: cannot be written: ${messageOf(error)}`, {
    cause: error,
  });
}

/** The lines of a stream; the last one needs no line feed. */
export async function* readLines(input: Readable, maxBytes = MAX_LINE_BYTES): AsyncGenerator<string> {
  const reader = new LineReader(maxBytes);
  let number = 1;
  const cut = function* (chunk: Buffer): Generator<string> {
    const { lines, tooLong } = reader.push(chunk);
    number += lines.length;
    yield* lines;
    if (tooLong) throw new Error(`line ${number} has more than ${maxBytes} bytes`);
  };
  for await (const chunk of input) yield* cut(chunk as Buffer);
  if (reader.unfinished) yield* cut(Buffer.from("\n"));
}
