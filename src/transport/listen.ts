// Opens a listener: checks its options, binds it, and hands every stream that gets through the reception to its owner.
import type { Server, Socket } from "node:net";
import { ConfigError } from "../errors.ts";
import { bindPort } from "./ports/bind.ts";
import { Reception } from "./reception/reception.ts";
import type {
  ByteStream,
  Listener,
  ListenerOptions,
  TransportLimits,
  TransportObserver,
} from "./streams/stream.ts";
import { bindUnix } from "./ports/unix.ts";

const DEFAULT_HOST = "127.0.0.1";

export async function listen(
  options: ListenerOptions,
  limits: TransportLimits,
  observer: TransportObserver,
  onStream: (stream: ByteStream) => void,
): Promise<Listener> {
  checkOptions(options);
  const { kind, host = DEFAULT_HOST } = options;
  let reception: Reception | undefined;
  // "localhost" is two sockets: the first may accept while the second is still being bound.
  let early: Socket[] = [];
  const accept = (socket: Socket): void => {
    if (reception !== undefined) reception.accept(socket);
    else early.push(socket.on("error", () => socket.destroy()));
  };
  const bound =
    kind === "unix"
      ? { servers: [await bindUnix(options.path ?? "", accept)], port: 0, loopback: true }
      : await bindPort(host, options.port ?? 0, accept);
  try {
    reception = new Reception(options, limits, observer, bound, onStream);
  } catch (error) {
    for (const server of bound.servers) server.close();
    for (const socket of early) socket.destroy();
    throw error;
  }
  for (const server of bound.servers) {
    // accept() fails when descriptors run out: clients wait or are dropped, the listener goes on.
    server.on("error", (error) => observer.refused("connections", error.message));
  }
  for (const socket of early) if (!socket.destroyed) reception.accept(socket);
  early = [];
  const url = kind === "unix" ? `unix:${options.path}` : `${kind}://${inUrl(host)}:${bound.port}`;
  return new BoundListener(url, bound.port, bound.loopback, bound.servers, reception);
}

class BoundListener implements Listener {
  readonly url: string;
  readonly port: number;
  readonly loopback: boolean;
  readonly #servers: readonly Server[];
  readonly #reception: Reception;

  constructor(
    url: string,
    port: number,
    loopback: boolean,
    servers: readonly Server[],
    reception: Reception,
  ) {
    this.url = url;
    this.port = port;
    this.loopback = loopback;
    this.#servers = servers;
    this.#reception = reception;
  }

  close(): Promise<void> {
    // close() gives the port back before it returns; its callback would wait for the last client.
    for (const server of this.#servers) server.close();
    this.#reception.close();
    return new Promise((resolve) => setImmediate(resolve));
  }

  prepareTls(...[tls]: Parameters<Listener["prepareTls"]>): () => void {
    return this.#reception.prepareTls(tls);
  }
}

function checkOptions(options: ListenerOptions): void {
  const { kind, path, tls, proxyProtocolFrom = [] } = options;
  if ((kind === "tls" || kind === "wss") && tls === undefined) {
    throw new ConfigError("TLS_MISSING", "tls", `a ${kind} listener needs a key and a certificate`);
  }
  if (kind === "unix" && !path)
    throw new ConfigError("PATH_MISSING", "path", "a unix listener needs the path of its socket");
  if (kind === "unix" && proxyProtocolFrom.length > 0) {
    throw new ConfigError(
      "PROXY_ON_UNIX",
      "proxyProtocolFrom",
      "a Unix socket has no peer address to check against a list",
    );
  }
}

function inUrl(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
