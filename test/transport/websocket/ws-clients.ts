// Clients of a WebSocket listener, as a browser's or a device's would be, and what it answers to those it refuses.
import { once } from "node:events";
import type { Socket } from "node:net";
import { type ClientOptions, WebSocket } from "ws";
import { dial } from "../helpers.ts";

export async function dialWs(
  port: number,
  protocols: string[] = ["mqtt"],
  options: ClientOptions = {},
  path = "/mqtt",
) {
  const { origin, ...rest } = options;
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, { origin, ...rest });
  socket.on("error", () => {});
  await once(socket, "open");
  return socket;
}

/** Status of the answer to an upgrade that is refused. */
export async function refusedStatus(
  port: number,
  protocols: string[],
  options: ClientOptions = {},
): Promise<number> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, protocols, options);
  socket.on("error", () => {});
  const [, response] = await once(socket, "unexpected-response");
  response.resume();
  return response.statusCode;
}

export async function httpAnswer(port: number, request: string): Promise<string> {
  const socket = await dial(port);
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  socket.write(request);
  await once(socket, "close");
  return text;
}

export function closeCode(socket: WebSocket): Promise<number> {
  return new Promise((resolve) => socket.once("close", (code) => resolve(code)));
}

export function rawSocket(socket: WebSocket): Socket {
  return (socket as unknown as { _socket: Socket })._socket;
}
