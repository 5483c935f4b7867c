// The other end of the control socket: one request, one answer, one at a time.
import { createConnection, type Socket } from "node:net";
import { OperationError } from "../../errors.ts";
import { findControlPath } from "./control-path.ts";
import {
  type ControlMessage,
  type ControlOperation,
  encodeRequest,
  MAX_LINE_BYTES,
  parseResponse,
} from "./control-protocol.ts";
import { LineReader } from "./line-reader.ts";

/** Resolves when the broker has confirmed the message. Throws OperationError in every other case. */
export function publishThroughControl(
  dataDirectory: string,
  message: ControlMessage,
  timeoutMs = 10_000,
): Promise<void> {
  const unsure = "the message may or may not have been published";
  return ask(dataDirectory, { operation: "publish", message }, unsure, timeoutMs);
}

/** Resolves when the broker has written a backup to `directory`, an absolute path; that may take minutes. */
export function backupThroughControl(dataDirectory: string, directory: string): Promise<void> {
  return ask(dataDirectory, { operation: "backup", directory }, "the backup may not be complete", 0);
}

/** `timeoutMs` 0: as long as the broker lives. */
async function ask(
  dataDirectory: string,
  operation: ControlOperation,
  unsure: string,
  timeoutMs: number,
): Promise<void> {
  const connection = new ControlConnection(dataDirectory);
  try {
    await connection.ask(operation, unsure, timeoutMs);
  } finally {
    connection.close();
  }
}

/** One request after another. Every failure ends it. */
export class ControlConnection {
  readonly #dataDirectory: string;
  readonly #path: string;
  readonly #socket: Socket;
  readonly #reader = new LineReader(MAX_LINE_BYTES);
  #connected = false;
  #waiting: Waiting | undefined;
  #failure: OperationError | undefined;
  #id = 0;
  #timeoutMs = 0;

  constructor(dataDirectory: string) {
    this.#dataDirectory = dataDirectory;
    this.#path = findControlPath(dataDirectory);
    this.#socket = createConnection(this.#path);
    this.#socket.once("connect", () => {
      this.#connected = true;
    });
    this.#socket.once("error", (error) => this.#failed(error));
    this.#socket.once("end", () => this.#lost("the broker closed the control socket without an answer"));
    this.#socket.on("timeout", () =>
      this.#lost(`the broker did not answer within ${this.#timeoutMs / 1000} s`),
    );
    this.#socket.on("data", (chunk) => this.#read(chunk));
  }

  /** Resolves with the broker's result. `unsure`: what is not known when no answer comes. */
  ask(operation: ControlOperation, unsure: string, timeoutMs: number): Promise<unknown> {
    const request = encodeRequest({ ...operation, id: ++this.#id });
    if (Buffer.byteLength(request) - 1 > MAX_LINE_BYTES) {
      const text = `the message is too large for the control socket: ${MAX_LINE_BYTES} bytes in Base64 at most`;
      return Promise.reject(new OperationError("CONTROL_MESSAGE_TOO_LARGE", text));
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting = { unsure, resolve, reject };
      this.#timeoutMs = timeoutMs;
      this.#socket.setTimeout(timeoutMs);
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    const { lines, tooLong } = this.#reader.push(chunk);
    if (lines.length === 0 && !tooLong) return;
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const response = lines.length > 0 ? parseResponse(lines[0]) : undefined;
    if (!response) {
      this.#lost("the answer is not in this version's language");
      return;
    }
    this.#waiting = undefined;
    this.#socket.setTimeout(0);
    if (response.ok) waiting.resolve(response.result);
    else {
      const cause = new Refusal(response.code, response.message);
      waiting.reject(
        new OperationError("CONTROL_REFUSED", `the broker refused: ${response.message}`, { cause }),
      );
    }
  }

  #failed(error: NodeJS.ErrnoException): void {
    if (this.#connected) this.#lost(`the control socket failed: ${error.message}`);
    else this.#fail(noBroker(this.#dataDirectory, this.#path, error));
  }

  #lost(why: string): void {
    const unsure = this.#waiting === undefined ? "nothing was asked" : this.#waiting.unsure;
    this.#fail(new OperationError("CONTROL_NO_ANSWER", `${why}; ${unsure}`));
  }

  #fail(error: OperationError): void {
    this.#failure ??= error;
    this.#socket.destroy();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
  }
}

interface Waiting {
  readonly unsure: string;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: OperationError) => void;
}

/** Cause of CONTROL_REFUSED: the error in the broker. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export function noBroker(dataDirectory: string, path: string, error: NodeJS.ErrnoException): OperationError {
  if (error.code === "EACCES") {
    const message = `the control socket ${path} belongs to another user: run this as the user of the broker`;
    return new OperationError("CONTROL_FORBIDDEN", message, { cause: error });
  }
  const message =
    `no broker runs on the data directory ${dataDirectory}: start one with millrace` +
    " (or npm start), or name its directory with --data";
  return new OperationError("CONTROL_NO_BROKER", message, { cause: error });
}
