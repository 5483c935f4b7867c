// Binds a Unix socket: readable and writable for this user only. A socket file nobody answers on is what a crash left
// and is removed; anything else at that path is never touched.
import { chmodSync, lstatSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { isMainThread } from "node:worker_threads";
import { OperationError } from "../../errors.ts";
import { BACKLOG, SERVER_OPTIONS } from "./bind.ts";

const MODE = 0o600;

export async function bindUnix(path: string, onConnection: (socket: Socket) => void): Promise<Server> {
  try {
    return await bindPath(path, onConnection);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE")
      throw unixError(error as NodeJS.ErrnoException, path);
  }
  const file = lstatSync(path, { throwIfNoEntry: false });
  if (file !== undefined && !file.isSocket()) {
    throw new OperationError(
      "SOCKET_PATH_TAKEN",
      `${path} exists and is no socket. Choose another path, or remove the file`,
    );
  }
  if (await isAnswering(path)) {
    throw new OperationError(
      "SOCKET_IN_USE",
      `Another process answers on the socket ${path}. Stop it, or choose another path`,
    );
  }
  rmSync(path, { force: true });
  try {
    return await bindPath(path, onConnection);
  } catch (error) {
    throw unixError(error as NodeJS.ErrnoException, path);
  }
}

function bindPath(path: string, onConnection: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(SERVER_OPTIONS, onConnection);
    server.once("error", reject);
    // listen() binds before it returns, so the mode is right from the first moment. Only the main thread has a umask to
    // set; elsewhere chmod follows in the same turn.
    const mask = isMainThread ? process.umask(0o777 & ~MODE) : undefined;
    try {
      server.listen({ path, backlog: BACKLOG }, () => {
        server.removeAllListeners("error");
        resolve(server);
      });
    } finally {
      if (mask !== undefined) process.umask(mask);
    }
    if (server.listening) chmodSync(path, MODE);
  });
}

function isAnswering(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    // Only a refusal says that nobody is there; a full backlog (EAGAIN) or a missing right (EACCES) does not.
    probe.once("error", (error: NodeJS.ErrnoException) =>
      resolve(error.code !== "ECONNREFUSED" && error.code !== "ENOENT"),
    );
  });
}

function unixError(cause: NodeJS.ErrnoException, path: string): OperationError {
  return new OperationError(
    "LISTEN_FAILED",
    `Cannot create the socket ${path}: ${cause.message}. Choose another path`,
    { cause },
  );
}
