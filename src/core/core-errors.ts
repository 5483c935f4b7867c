// Errors of the stand-alone core; docs/core.md explains each code. The broker does not use them.

export type CoreErrorCode =
  | "CORE_MODULE"
  | "CORE_MEMORY"
  | "CORE_ARGUMENT"
  | "CORE_FILTER"
  | "CORE_TOPIC"
  | "CORE_PARSER_UNREAD"
  | "CORE_PACKET"
  | "CORE_LEVEL_UNKNOWN";

/** Base of all errors of `millrace/core` but PacketEncodeError; tell them apart by `code`. */
export class CoreError extends Error {
  override readonly name: string = "CoreError";
  readonly code: CoreErrorCode;
  constructor(code: CoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The peer's fault: what was wrong with a packet of its stream, and which reason code it deserves. */
export class PacketDecodeError extends CoreError {
  override readonly name = "PacketDecodeError";
  readonly reasonCode: number;
  /** What exactly was wrong, in words. */
  readonly detail: string;
  /** Offset of the offending byte, from the start of the packet. */
  readonly offset: number;
  constructor(
    code: "CORE_PACKET" | "CORE_LEVEL_UNKNOWN",
    reasonCode: number,
    detail: string,
    offset: number,
  ) {
    super(code, `${detail}, at byte ${offset} of the packet`);
    this.reasonCode = reasonCode;
    this.detail = detail;
    this.offset = offset;
  }
}
