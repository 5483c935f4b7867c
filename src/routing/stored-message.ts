// A canonical message read as the object a policy gets. Nothing is decoded before it is asked for, and nothing is copied.
import type { PublishedMessage } from "../access/published-message.ts";
import type { Properties } from "../protocol/properties.ts";
import { type MessageView, messageTopic, viewMessage } from "../core/message-view.ts";
import { messageParts, readProperties } from "./message.ts";

export class StoredMessage implements PublishedMessage {
  readonly level: 3 | 4 | 5;
  readonly #view: MessageView;

  constructor(bytes: Buffer, offset: number, level: 3 | 4 | 5) {
    this.level = level;
    this.#view = viewMessage(bytes, offset);
  }

  get topic(): string {
    return messageTopic(this.#view);
  }
  get payload(): Uint8Array {
    const { payload, payloadEnd } = messageParts(this.#view);
    return this.#view.bytes.subarray(payload, payloadEnd);
  }
  get qos(): 0 | 1 | 2 {
    return this.#view.qos;
  }
  get retain(): boolean {
    return this.#view.retain;
  }
  get properties(): Properties | undefined {
    const { properties, propertiesEnd } = messageParts(this.#view);
    return readProperties(this.#view.bytes, properties, propertiesEnd);
  }
  get receivedAt(): number {
    return this.#view.receivedAt;
  }
}
