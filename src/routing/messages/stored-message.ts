// A canonical message read as the object a policy gets. Nothing is decoded before it is asked for, and nothing is copied:
// there is one of these for each message that is tapped, so making it must cost next to nothing.
import type { PublishedMessage } from "../../access/published-message.ts";
import { messageTopic, viewMessage } from "../../core/message-view.ts";
import type { Properties } from "../../protocol/properties.ts";
import { messageParts, readProperties } from "./message.ts";

export class StoredMessage implements PublishedMessage {
  readonly level: 3 | 4 | 5;
  readonly #bytes: Buffer;
  readonly #offset: number;

  constructor(bytes: Buffer, offset: number, level: 3 | 4 | 5) {
    this.level = level;
    this.#bytes = bytes;
    this.#offset = offset;
  }

  get topic(): string {
    return messageTopic(viewMessage(this.#bytes, this.#offset));
  }
  get payload(): Uint8Array {
    const { payload, payloadEnd } = messageParts(viewMessage(this.#bytes, this.#offset));
    return this.#bytes.subarray(payload, payloadEnd);
  }
  get qos(): 0 | 1 | 2 {
    return viewMessage(this.#bytes, this.#offset).qos;
  }
  get retain(): boolean {
    return viewMessage(this.#bytes, this.#offset).retain;
  }
  get properties(): Properties | undefined {
    const { properties, propertiesEnd } = messageParts(viewMessage(this.#bytes, this.#offset));
    return readProperties(this.#bytes, properties, propertiesEnd);
  }
  get receivedAt(): number {
    return viewMessage(this.#bytes, this.#offset).receivedAt;
  }
}
