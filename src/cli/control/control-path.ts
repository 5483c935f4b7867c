// Where the control socket of a data directory is. A Unix socket's path is limited to about 104 bytes; for a longer one
// the socket lies in a private directory under the system's temporary one, and a pointer file in the data directory
// names it.
import { mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { OperationError } from "../../errors.ts";

const SOCKET = "control.sock";
const POINTER = "control.path";
/** Prefix of the private directory of a long path. */
const TEMPORARY = "millrace-control-";
/** sun_path has 104 bytes on BSD and macOS, 108 on Linux, with a NUL. */
const MAX_PATH_BYTES = 100;

/** For the client: where the socket should be. */
export function findControlPath(dataDirectory: string): string {
  try {
    return readFileSync(join(dataDirectory, POINTER), "utf8").trim();
  } catch {
    return join(dataDirectory, SOCKET);
  }
}

/** For the server, which holds the lock: a path to listen on, free of what a crashed broker left. */
export function prepareControlPath(dataDirectory: string): string {
  removeControlPath(dataDirectory);
  const direct = join(dataDirectory, SOCKET);
  if (Buffer.byteLength(direct) <= MAX_PATH_BYTES) return direct;
  const path = join(mkdtempSync(join(tmpdir(), TEMPORARY)), SOCKET);
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    rmdirSync(dirname(path));
    const message = `no room for a control socket: ${direct} and ${path} are longer than ${MAX_PATH_BYTES} bytes; set TMPDIR`;
    throw new OperationError("CONTROL_PATH_TOO_LONG", message);
  }
  writeFileSync(join(dataDirectory, POINTER), `${path}\n`, { mode: 0o600 });
  return path;
}

export function removeControlPath(dataDirectory: string): void {
  const path = findControlPath(dataDirectory);
  if (basename(path) === SOCKET) rmSync(path, { force: true });
  if (basename(dirname(path)).startsWith(TEMPORARY) && dirname(path) !== dataDirectory) {
    try {
      rmdirSync(dirname(path));
    } catch {
      // Gone already, or not empty and therefore not ours.
    }
  }
  rmSync(join(dataDirectory, POINTER), { force: true });
}

/** Does a process listen there? Only a refusal says no: a full backlog or a missing right does not. */
export function controlAnswers(dataDirectory: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(findControlPath(dataDirectory));
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once("connect", () => settle(true));
    socket.once("error", ({ code }: NodeJS.ErrnoException) =>
      settle(code !== "ECONNREFUSED" && code !== "ENOENT"),
    );
  });
}
