// The control socket of a running broker: a Unix socket only the owner of the process can open. Requests of one
// connection are answered in order, one at a time; connections, lines and idle time are bounded.
import { createServer, type Server, type Socket } from "node:net";
import { OperationError } from "../../errors.ts";
import { prepareControlPath, removeControlPath } from "./control-path.ts";
import {
  type ControlMessage,
  type ControlResponse,
  encodeResponse,
  type JsonObject,
  MAX_LINE_BYTES,
  parseRequest,
  RequestRefusal,
} from "./control-protocol.ts";
import { LineReader } from "./line-reader.ts";

export interface ControlServerOptions {
  /** Held by this process, see data-directory.ts. */
  readonly dataDirectory: string;
  /** Resolves when the broker answers for the message, as a PUBACK would. */
  readonly publish: (message: ControlMessage) => Promise<void>;
  /** Resolves when the backup is complete. */
  readonly backup: (directory: string) => Promise<void>;
  /** The registry, for one client; see registry-calls.ts. */
  readonly registry: () => RegistryClient;
  /** Default: there is none. */
  readonly platform?: PlatformDesk;
  /** Default 16; more are closed at once. */
  readonly maxConnections?: number;
  /** Default 30 s without a request or answer. */
  readonly idleMs?: number;
}

export interface RegistryClient {
  /** True while the client is not idle, though it asks nothing. */
  readonly busy: boolean;
  call(name: string, given: JsonObject): Promise<unknown>;
  /** It is gone. */
  close(): Promise<void>;
}

/** The platform, for all clients; see platform-calls.ts. */
export interface PlatformDesk {
  call(name: string, given: JsonObject): Promise<unknown>;
  follow(name: string, given: JsonObject): Promise<Feed>;
}

/** Items one after the other, until there are no more or close() is called. */
export interface Feed {
  readonly items: AsyncIterable<unknown>;
  close(): void;
}

const noPlatform = async (): Promise<never> => {
  throw new RequestRefusal("BAD_REQUEST", 0, "nobody here speaks for the platform");
};
const NO_PLATFORM: PlatformDesk = { call: noPlatform, follow: noPlatform };
const IDLE_MS = 30_000;

export interface ControlServer {
  readonly path: string;
  close(): Promise<void>;
}

export async function openControlServer(options: ControlServerOptions): Promise<ControlServer> {
  const path = prepareControlPath(options.dataDirectory);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    serve(socket, options);
  });
  server.maxConnections = options.maxConnections ?? 16;
  try {
    await listenPrivately(server, path);
  } catch (error) {
    removeControlPath(options.dataDirectory);
    const message = `control socket ${path} cannot be opened: ${(error as Error).message}`;
    throw new OperationError("CONTROL_SOCKET_FAILED", message, { cause: error });
  }
  return {
    path,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          removeControlPath(options.dataDirectory);
          resolve();
        });
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** The socket file is bound inside listen(), in this very call, so that it has mode 0600 from its first moment. */
function listenPrivately(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    const mask = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.off("error", reject);
        resolve();
      });
    } finally {
      process.umask(mask);
    }
  });
}

function serve(socket: Socket, options: ControlServerOptions): void {
  const reader = new LineReader(MAX_LINE_BYTES);
  const registry = options.registry();
  socket.once("close", () => {
    registry.close().catch(() => {}); // rows nobody sees; removed at the next start
  });
  socket.setTimeout(options.idleMs ?? IDLE_MS);
  socket.on("timeout", () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.on("data", async (chunk) => {
    // Paused until every line of the chunk is answered: that bounds what waits, and keeps the order.
    socket.pause();
    // An answer may take its time, a backup above all; only who asks nothing is idle.
    socket.setTimeout(0);
    const { lines, tooLong } = reader.push(chunk);
    for (const line of lines) {
      const response = await answer(line, options, registry);
      if (socket.destroyed) {
        if ("feed" in response) response.feed.close();
        return;
      }
      if ("feed" in response) return await stream(socket, response.id, response.feed);
      socket.write(encodeResponse(response));
    }
    if (tooLong) {
      const message = `a line has at most ${MAX_LINE_BYTES} bytes`;
      socket.end(encodeResponse({ id: 0, ok: false, code: "LINE_TOO_LONG", message }));
      return;
    }
    socket.setTimeout(registry.busy ? 0 : (options.idleMs ?? IDLE_MS));
    if (socket.writableNeedDrain) socket.once("drain", () => socket.resume());
    else socket.resume();
  });
}

/** The connection is the feed's from now on. It waits for a client that reads slowly; one that says a word is gone. */
async function stream(socket: Socket, id: number, feed: Feed): Promise<void> {
  socket.removeAllListeners("data");
  socket.once("data", () => socket.destroy());
  const gone = new Promise<void>((resolve) => {
    socket.once("close", () => {
      feed.close();
      resolve();
    });
  });
  socket.resume(); // else its end would go unnoticed
  try {
    for await (const result of feed.items) {
      if (socket.destroyed) return;
      if (socket.write(encodeResponse({ id, ok: true, result, more: true }))) continue;
      await Promise.race([new Promise((resolve) => socket.once("drain", resolve)), gone]);
    }
    socket.end(encodeResponse({ id, ok: true }));
  } catch (error) {
    if (!socket.destroyed) socket.end(encodeResponse(failure(id, error)));
  } finally {
    feed.close();
  }
}

async function answer(
  line: string,
  options: ControlServerOptions,
  registry: RegistryClient,
): Promise<ControlResponse | { readonly id: number; readonly feed: Feed }> {
  let id = 0;
  try {
    const request = parseRequest(line);
    id = request.id;
    if (request.operation === "registry") {
      const result = await registry.call(request.call, { ...request.given });
      return { id, ok: true, result };
    }
    const { platform = NO_PLATFORM } = options;
    if (request.operation === "platform") {
      const result = await platform.call(request.call, { ...request.given });
      return { id, ok: true, result };
    }
    if (request.operation === "follow")
      return { id, feed: await platform.follow(request.feed, { ...request.given }) };
    if (request.operation === "backup") await options.backup(request.directory);
    else await options.publish(request.message);
    return { id, ok: true };
  } catch (error) {
    return failure(id, error);
  }
}

function failure(id: number, error: unknown): ControlResponse {
  if (error instanceof RequestRefusal)
    return { id: error.id || id, ok: false, code: error.code, message: error.message };
  const { code, message } = error as Error & { code?: unknown };
  return {
    id,
    ok: false,
    code: typeof code === "string" ? code : "FAILED",
    message: message.slice(0, 4096),
  };
}
