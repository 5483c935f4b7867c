// A stored message as it lies in memory: the head and body that the core writes and reads, see assembly/abi.ts.
import { M_QOS_MASK, M_RETAIN, MESSAGE_HEAD } from "./generated/abi.ts";

/** A canonical message, see assembly/abi.ts. */
export interface MessageView {
  readonly bytes: Buffer;
  readonly offset: number;
  /** Head and body. */
  readonly size: number;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly sender: number;
  readonly topicLength: number;
  readonly receivedAt: number;
  /** s, as published. */
  readonly expiry: number;
  /** Payload bytes that follow the body (counted in the segment, not in `size`). */
  readonly external: number;
}

/** Words of a message's head that are read without a view. */
export const SIZE_WORD = 0;
export const EXPIRY_WORD = 6;
export const EXTERNAL_WORD = 7;

export function viewMessage(bytes: Buffer, offset: number): MessageView {
  const flags = bytes.readUInt32LE(offset + 4);
  return {
    bytes,
    offset,
    size: bytes.readUInt32LE(offset),
    qos: (flags & M_QOS_MASK) as 0 | 1 | 2,
    retain: (flags & M_RETAIN) !== 0,
    sender: bytes.readUInt32LE(offset + 8),
    topicLength: bytes.readUInt32LE(offset + 12),
    receivedAt: bytes.readDoubleLE(offset + 16),
    expiry: bytes.readUInt32LE(offset + 24),
    external: bytes.readUInt32LE(offset + 28),
  };
}

/** Length of the body (topic, properties, payload), external payload included. */
export function bodyLength(view: MessageView): number {
  return view.size - MESSAGE_HEAD + view.external;
}

export function messageTopic(view: MessageView): string {
  const at = view.offset + MESSAGE_HEAD + 2;
  return view.bytes.utf8Slice(at, at + view.topicLength);
}
