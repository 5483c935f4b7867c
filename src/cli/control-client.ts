// The other end of the control socket: one request, one answer.
import { createConnection } from "node:net";
import { OperationError } from "../errors.ts";
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
function ask(
  dataDirectory: string,
  operation: ControlOperation,
  unsure: string,
  timeoutMs: number,
): Promise<void> {
  const request = encodeRequest({ ...operation, id: 1 });
  if (Buffer.byteLength(request) - 1 > MAX_LINE_BYTES) {
    const text = `the message is too large for the control socket: ${MAX_LINE_BYTES} bytes in Base64 at most`;
    return Promise.reject(new OperationError("CONTROL_MESSAGE_TOO_LARGE", text));
  }
  const path = findControlPath(dataDirectory);
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    const reader = new LineReader(MAX_LINE_BYTES);
    let connected = false;
    const settle = (error?: OperationError) => {
      socket.destroy();
      if (error) reject(error);
      else resolve();
    };
    const lost = (why: string) => settle(new OperationError("CONTROL_NO_ANSWER", `${why}; ${unsure}`));
    socket.setTimeout(timeoutMs, () => lost(`the broker did not answer within ${timeoutMs / 1000} s`));
    socket.once("connect", () => {
      connected = true;
      socket.write(request);
    });
    socket.once("error", (error) => {
      if (connected) return lost(`the control socket failed: ${error.message}`);
      settle(noBroker(dataDirectory, path, error));
    });
    socket.once("end", () => lost("the broker closed the control socket without an answer"));
    socket.on("data", (chunk) => {
      const { lines, tooLong } = reader.push(chunk);
      if (lines.length === 0 && !tooLong) return;
      const response = lines.length > 0 ? parseResponse(lines[0]) : undefined;
      if (!response) return lost("the answer is not in this version's language");
      if (response.ok) return settle();
      settle(new OperationError("CONTROL_REFUSED", `the broker refused: ${response.message}`));
    });
  });
}

function noBroker(dataDirectory: string, path: string, error: NodeJS.ErrnoException): OperationError {
  if (error.code === "EACCES") {
    const message = `the control socket ${path} belongs to another user: run this as the user of the broker`;
    return new OperationError("CONTROL_FORBIDDEN", message, { cause: error });
  }
  const message =
    `no broker runs on the data directory ${dataDirectory}: start one with millrace` +
    " (or npm start), or name its directory with --data";
  return new OperationError("CONTROL_NO_BROKER", message, { cause: error });
}
