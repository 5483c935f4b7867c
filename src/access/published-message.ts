// A client's message as a policy gets it: handed a copy (`tapped`) or the whole matter (`serve`). A type only; what is
// behind it reads from bytes when it is asked.
import type { Properties } from "../protocol/properties.ts";

/** Valid for good. `payload` is a view of a buffer that neighbouring messages may share: copy what you keep for long. */
export interface PublishedMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  /**
   * Every 5.0 property the client sent but Topic Alias: User Properties in their order, Correlation Data as raw bytes,
   * Message Expiry Interval as sent. Undefined where there is none, and before 5.0.
   */
  readonly properties: Properties | undefined;
  /** Of its sender: 3.1, 3.1.1, 5.0. */
  readonly level: 3 | 4 | 5;
  /** ms since the epoch. */
  readonly receivedAt: number;
}
