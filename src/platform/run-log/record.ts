// An entry as the log keeps it, in memory and on its way to the disk. Its line of JSON is made when somebody writes or reads it:
// a fleet that signs in must not pay for texts nobody looks at.
import type { DeviceId } from "../names/user-name.ts";
import { type BusinessType, cut, type RunLogContent, type RunLogEntry, type ToldContent } from "./entry.ts";
import { fixed, LineBuffer } from "./line-buffer.ts";

const ID = fixed('{"id":');
const TIME = fixed(',"time":');
const TRACE = fixed(',"traceId":');
const MESSAGE = fixed(',"messageId":');
const PRODUCT = fixed(',"productKey":');
const DEVICE = fixed(',"deviceName":');
const TYPE = fixed(',"businessType":');
const OPERATION = fixed(',"operation":');
const STATUS = fixed(',"status":');
const CONTENT = fixed(',"content":');
const END = fixed("}");
const PARTS = [ID, TIME, TRACE, MESSAGE, PRODUCT, DEVICE, TYPE, OPERATION, STATUS, CONTENT, END];
/** All of these, the quotes of six texts, and a digit for each of three numbers. */
const FRAME = PARTS.reduce((sum, { length }) => sum + length, 6 * 2 + 3);
/** The other digits of the numbers, and a few escapes. */
export const SPARE = 48;
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

  /** What JSON.stringify() would make of the entry. */
  line(): string {
    const buffer = new LineBuffer(this.length + SPARE);
    this.writeTo(buffer);
    return Buffer.from(buffer.bytes).toString();
  }

  /** The same, into the buffer. */
  writeTo(buffer: LineBuffer): void {
    buffer.put(ID);
    buffer.putNumber(this.id);
    buffer.put(TIME);
    buffer.putNumber(this.time);
    buffer.put(TRACE);
    buffer.putString(this.traceId);
    buffer.put(MESSAGE);
    buffer.putString(this.messageId);
    buffer.put(PRODUCT);
    buffer.putString(this.device.productKey);
    buffer.put(DEVICE);
    buffer.putString(this.device.deviceName);
    buffer.put(TYPE);
    buffer.putString(this.businessType);
    buffer.put(OPERATION);
    buffer.putString(this.operation);
    buffer.put(STATUS);
    buffer.putNumber(this.status);
    buffer.put(CONTENT);
    if (typeof this.#content === "string") buffer.putText(this.#content);
    else this.#content.writeTo(buffer);
    buffer.put(END);
  }

  entry(): RunLogEntry {
    return JSON.parse(this.line()) as RunLogEntry;
  }
}

function shortened(content: ToldContent, length: number): string {
  const { Message } = typeof content === "string" ? (JSON.parse(content) as RunLogContent) : {};
  const rest: RunLogContent & { readonly Truncated: number } = {
    ...(Message !== undefined && { Message: cut(Message, 1_024) }),
    Truncated: length,
  };
  return JSON.stringify(rest);
}
