// Packets until a client is online: CONNECT, then AUTH where an exchange was begun. One at a time, nothing behind it is
// looked at before it is decided; what is wrong is answered as far as the version allows.
import { AUTHENTICATING, type Connection, ONLINE, WAITING } from "../../connection/connection.ts";
import { detailText } from "../../protocol/details.ts";
import type { ConnectPacket } from "../../protocol/packet.ts";
import { encodeConnack, fitReason } from "../../protocol/packet-encoder.ts";
import type { Properties } from "../../protocol/properties.ts";
import { ReasonCode } from "../../protocol/reason-codes.ts";
import { handleAuth } from "./auth.ts";
import { handleConnect } from "./connect.ts";
import { connectDefect } from "./connect-defects.ts";
import type { Context } from "../context/context.ts";
import { countLimit } from "../context/limit-counts.ts";

const CONNECT = 1;
const DISCONNECT = 14;
const AUTH = 15;
const EMPTY = Buffer.alloc(0);

/** Where input goes that is none of this file's. */
interface EarlyInlet {
  input(connection: Connection, chunk: Buffer): void;
  behindQuestion(connection: Connection, bytes: number): void;
}

export class EarlyPackets {
  readonly #context: Context;
  readonly #inlet: EarlyInlet;

  constructor(context: Context, inlet: EarlyInlet) {
    this.#context = context;
    this.#inlet = inlet;
  }

  /** Packets until the client is online: CONNECT, then AUTH where an exchange was begun. One at a time. */
  input(connection: Connection, chunk: Buffer): void {
    const context = this.#context;
    let bytes = connection.tail === undefined ? chunk : Buffer.concat([connection.tail, chunk]);
    connection.tail = undefined;
    while (bytes.length > 0 && connection.open && !connection.held && connection.state !== ONLINE) {
      const type = bytes[0] >> 4;
      const { state } = connection;
      const expected =
        state === WAITING
          ? type === CONNECT
          : state === AUTHENTICATING && (type === AUTH || type === DISCONNECT);
      if (!expected) {
        // The first packet must be CONNECT [MQTT-3.1.0-1]; before CONNACK only AUTH may follow, or a DISCONNECT that gives up.
        this.#refuse(connection, ReasonCode.protocolError, `packet type ${type} before CONNACK`);
        return;
      }
      const total = packetLength(bytes);
      if (total < 0 || total > context.limits.maxPacketBeforeConnect) {
        if (total > 0) context.metrics.limit("refused.packet_before_connect");
        this.#refuse(
          connection,
          total < 0 ? ReasonCode.malformedPacket : ReasonCode.packetTooLarge,
          "CONNECT is too long",
        );
        return;
      }
      if (total === 0 || bytes.length < total) {
        connection.tail = Buffer.from(bytes);
        return;
      }
      const packet = bytes.subarray(0, total);
      bytes = bytes.subarray(total);
      // What follows waits until this packet is decided.
      connection.tail = bytes.length > 0 ? Buffer.from(bytes) : undefined;
      this.#decode(connection, packet);
      if (connection.held) {
        this.#inlet.behindQuestion(connection, bytes.length);
        return;
      }
      bytes = connection.tail ?? EMPTY;
      connection.tail = undefined;
    }
    if (bytes.length === 0 || !connection.open) return;
    if (connection.held) connection.tail = Buffer.from(bytes);
    else this.#inlet.input(connection, bytes);
  }

  #decode(connection: Connection, bytes: Buffer): void {
    const { metrics, router } = this.#context;
    const { border } = router;
    metrics.packetsReceived++;
    if (connection.state === WAITING) metrics.connects++;
    border.load(bytes);
    const reason = border.decode(0, bytes.length, connection.state === WAITING ? 0 : 5);
    if (reason !== 0) {
      const { detail } = border;
      countLimit(metrics, detail);
      if (connection.state !== WAITING) {
        this.#refuse(connection, reason, detailText(detail));
        return;
      }
      connection.level = earlyLevel(bytes);
      const { propertiesPerPacket } = this.#context.limits;
      const defect = connectDefect(bytes, detail, border.offset, propertiesPerPacket);
      connection.maximumPacketSize = defect.maximumPacketSize;
      this.#refuse(connection, reason, defect.words);
      return;
    }
    const packet = border.packet();
    if (packet.type === "connect") handleConnect(this.#context, connection, packet as ConnectPacket);
    else if (packet.type === "auth" && connection.state === AUTHENTICATING)
      handleAuth(this.#context, connection, packet);
    else if (packet.type === "disconnect") {
      connection.endReason = packet.reasonCode;
      connection.finish(undefined);
    }
  }

  /** Before CONNACK: a 5.0 client may be told in CONNACK, an unknown level is told 1, everybody else is just closed. */
  #refuse(connection: Connection, reason: number, detail: string): void {
    const { metrics, notices } = this.#context;
    metrics.protocolErrors++;
    connection.endReason = reason;
    notices.info(
      "errors.protocol",
      { address: connection.stream.info.remoteAddress, reason, detail },
      "closing before CONNACK",
    );
    if (connection.state === WAITING && reason === ReasonCode.unsupportedProtocolVersion) {
      // Levels above 5 are answered as 5.0 would be, lower ones and bridges with code 1 so that they fall back.
      const level = connection.level === 5 ? 5 : 4;
      connection.finish(encodeConnack({ level, reasonCode: level === 5 ? reason : 1 }));
    } else if (connection.level === 5) {
      const encode = (p: { properties?: Properties }): Uint8Array =>
        encodeConnack({ level: 5, reasonCode: reason, ...p });
      const properties: Properties = { reasonString: detail };
      connection.finish(fitReason(encode, { properties }, connection.maximumPacketSize)); // [MQTT-3.1.4-1]
    } else connection.destroy();
  }
}

/** Length of the packet that begins here: 0 not known yet, -1 malformed. */
function packetLength(bytes: Buffer): number {
  let length = 0;
  for (let i = 1; i < 5; i++) {
    if (i >= bytes.length) return 0;
    length |= (bytes[i] & 127) << (7 * (i - 1));
    if (bytes[i] < 128) return i + 1 + length;
  }
  return -1;
}

/** The level a broken CONNECT claims, for the form of its answer. */
function earlyLevel(bytes: Buffer): 3 | 4 | 5 {
  let at = 1;
  while (at < bytes.length && bytes[at] & 128) at++;
  at++;
  if (at + 2 > bytes.length) return 4;
  const level = bytes[at + 2 + bytes.readUInt16BE(at)];
  return level === 3 ? 3 : level !== undefined && level >= 5 && level < 128 ? 5 : 4;
}
