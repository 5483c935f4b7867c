// Binds a host and port to net servers: "localhost" means both loopback addresses, and every failure becomes an error
// that says what to do.
import { type AddressInfo, createServer, isIPv4, type Server, type ServerOpts, type Socket } from "node:net";
import { OperationError } from "../../errors.ts";
import { findPortHolder } from "./port-holder.ts";

/** The kernel lowers it to its own bound; thousands of clients may come back in the same moment. */
export const BACKLOG = 65_535;
/** Port 0 with "localhost": how often another port is tried because ::1 has the chosen one taken. */
const PORT_TRIES = 8;

// Half-open: the end of what a client sends is no reason to throw away what it has yet to receive.
export const SERVER_OPTIONS: ServerOpts = { allowHalfOpen: true, noDelay: true };

export interface Bound {
  readonly servers: readonly Server[];
  readonly port: number;
  /** Every address bound is a loopback address. */
  readonly loopback: boolean;
}

export async function bindPort(
  host: string,
  port: number,
  onConnection: (socket: Socket) => void,
): Promise<Bound> {
  if (host !== "localhost") {
    const server = await bindOne(host, port, onConnection);
    const address = server.address() as AddressInfo;
    return { servers: [server], port: address.port, loopback: isLoopback(address.address) };
  }
  for (let tries = PORT_TRIES; ; tries -= 1) {
    const first = await bindOne("127.0.0.1", port, onConnection);
    const bound = (first.address() as AddressInfo).port;
    try {
      const second = await bindOne("::1", bound, onConnection);
      return { servers: [first, second], port: bound, loopback: true };
    } catch (error) {
      const code = (error as OperationError).code;
      if (code === "ADDRESS_UNAVAILABLE") return { servers: [first], port: bound, loopback: true };
      first.close();
      if (code !== "PORT_IN_USE" || port !== 0 || tries === 1) throw error;
    }
  }
}

/** Decides whether an address only this machine can reach. */
export function isLoopback(address: string): boolean {
  return address === "::1" || (isIPv4(address) && address.startsWith("127."));
}

function bindOne(host: string, port: number, onConnection: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(SERVER_OPTIONS, onConnection);
    server.once("error", (error: NodeJS.ErrnoException) => reject(bindError(error, host, port)));
    server.listen({ host, port, backlog: BACKLOG }, () => {
      server.removeAllListeners("error");
      resolve(server);
    });
  });
}

function bindError(cause: NodeJS.ErrnoException, host: string, port: number): OperationError {
  const shown = host.includes(":") ? `[${host}]` : host;
  const example = `--listen tcp://${shown}:${port < 1024 ? port + 10_000 : port < 65_535 ? port + 1 : port - 1}`;
  switch (cause.code) {
    case "EADDRINUSE": {
      const holder = findPortHolder(port) ?? "another process";
      return new OperationError(
        "PORT_IN_USE",
        `Port ${port} on ${host} is in use by ${holder}. Stop it, or choose another port with --listen, for example ${example}`,
        { cause },
      );
    }
    case "EACCES":
    case "EPERM":
      return new OperationError(
        "PORT_FORBIDDEN",
        `Port ${port} on ${host} may not be used by this user${port < 1024 ? " (ports below 1024 need a privilege)" : ""}. ` +
          `Choose another port with --listen, for example ${example}`,
        { cause },
      );
    case "EADDRNOTAVAIL":
    case "EAFNOSUPPORT":
    case "EINVAL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new OperationError(
        "ADDRESS_UNAVAILABLE",
        `${host} is no address of this machine. Choose another with --listen, for example --listen tcp://127.0.0.1:${port}`,
        { cause },
      );
    default:
      return new OperationError("LISTEN_FAILED", `Cannot listen on ${shown}:${port}: ${cause.message}`, {
        cause,
      });
  }
}
