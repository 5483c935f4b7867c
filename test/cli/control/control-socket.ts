// A raw client's end of the control socket, and two messages for it.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { findControlPath } from "../../../src/cli/control/control-path.ts";
import type { ControlMessage } from "../../../src/cli/control/control-protocol.ts";

export const FULL: ControlMessage = {
  topic: "/a/ü",
  payload: Buffer.from([0, 10, 255]),
  qos: 2,
  retain: true,
  properties: {
    payloadFormatIndicator: 0,
    messageExpiryInterval: 4_294_967_295,
    contentType: "text/plain",
    responseTopic: "r",
    correlationData: Buffer.from([10, 13, 0]),
    userProperties: [
      ["k", "1"],
      ["k", ""],
    ],
  },
};
export const BARE: ControlMessage = {
  topic: "t",
  payload: Buffer.alloc(0),
  qos: 0,
  retain: false,
  properties: {},
};

/** What a client is sent until the server closes, or until `lines` lines. */
export function talk(path: string, bytes: string | Buffer, lines: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write(bytes));
    let text = "";
    const settle = () => {
      socket.destroy();
      resolve(text.split("\n").slice(0, -1));
    };
    socket.setEncoding("utf8");
    socket.on("data", (piece) => {
      text += piece;
      if (text.split("\n").length > lines) settle();
    });
    socket.on("close", settle);
    socket.on("error", reject);
  });
}

export function connected(path: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(path, () => resolve(socket));
    socket.on("error", () => {});
  });
}

/** Resolves when the server has dropped a client that says nothing. */
export async function droppedForIdling(directory: string): Promise<void> {
  const client = await connected(findControlPath(directory));
  await once(client.resume(), "close");
}
