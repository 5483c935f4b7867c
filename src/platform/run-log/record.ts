// An entry as the log keeps it, in memory and on its way to the disk. Its line of JSON is made when somebody writes or reads it:
// a fleet that signs in must not pay for texts nobody looks at.
import type { DeviceId } from "../user-name.ts";
import {
  type BusinessType,
  cut,
  quoted,
  type RunLogContent,
  type RunLogEntry,
  type ToldContent,
} from "./entry.ts";

/** What stands in the JSON of an entry besides its values: names, quotes, commas, and a digit for each number. */
const FRAME =
  '{"id":0,"time":0,"traceId":"","messageId":"","productKey":"","deviceName":"","businessType":"","operation":"","status":0,"content":}'
    .length;
/** Longest escape of a character in JSON. */
const ESCAPE = 6;

/** An entry as the log keeps it: its line of JSON is made when it is written or read, which most entries are once or never. */
export class LogRecord {
  readonly id: number;
  readonly time: number;
  readonly traceId: string;
  readonly messageId: string;
  readonly device: DeviceId;
  readonly businessType: BusinessType;
  readonly operation: string;
  readonly status: number;
  readonly #content: ToldContent;

  /** `content` without secrets. The line is at most `maxBytes` long but for what cannot be left out. */
  constructor(
    head: Omit<RunLogEntry, "content" | keyof DeviceId>,
    device: DeviceId,
    content: ToldContent,
    maxBytes: number,
  ) {
    this.id = head.id;
    this.time = head.time;
    this.traceId = head.traceId;
    this.messageId = head.messageId;
    this.device = device;
    this.businessType = head.businessType;
    this.operation = cut(head.operation, 1_024);
    this.status = head.status;
    this.#content = content;
    if (this.length * ESCAPE <= maxBytes) return;
    const { length } = this.line();
    if (length > maxBytes) this.#content = shortened(content, length);
  }

  /** Characters of its line, or a few less. */
  get length(): number {
    const { productKey, deviceName } = this.device;
    const names = productKey.length + deviceName.length + this.traceId.length + this.messageId.length;
    return FRAME + names + this.businessType.length + this.operation.length + this.#content.length;
  }

  /** What JSON.stringify() would make of the entry, without a line feed. */
  line(): string {
    const { id, time, traceId, messageId, businessType, status } = this;
    const { productKey, deviceName } = this.device;
    const told = quoted(messageId);
    const trace = traceId === messageId ? told : quoted(traceId);
    const names = `"productKey":${quoted(productKey)},"deviceName":${quoted(deviceName)}`;
    const what = `"businessType":"${businessType}","operation":${quoted(this.operation)},"status":${status}`;
    return `{"id":${id},"time":${time},"traceId":${trace},"messageId":${told},${names},${what},"content":${this.#content}}`;
  }

  entry(): RunLogEntry {
    return JSON.parse(this.line()) as RunLogEntry;
  }
}

function shortened(content: ToldContent, length: number): string {
  const { Message } = JSON.parse(content.toString()) as RunLogContent;
  const rest: RunLogContent & { readonly Truncated: number } = {
    ...(Message !== undefined && { Message: cut(Message, 1_024) }),
    Truncated: length,
  };
  return JSON.stringify(rest);
}
