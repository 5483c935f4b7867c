// How large a message of the platform may be, in either direction [LIMIT-1].
import { OperationError } from "../../errors.ts";

/** Of a packet that a device sends, and of the payload that the server's side gives; bytes. */
export const MAX_MESSAGE_BYTES = 262_144;

/** What is wrong with a payload of the server's side. */
export function sizeFault(payload: Uint8Array): OperationError | undefined {
  if (payload.length <= MAX_MESSAGE_BYTES) return undefined;
  const message = `payload: has ${payload.length} bytes; a message has ${MAX_MESSAGE_BYTES} at most`;
  return new OperationError("MESSAGE_SIZE", message);
}
