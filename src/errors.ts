// Errors the host throws or reports. Each class says who is to blame; each instance carries a stable code that
// docs/errors.md explains. The core never throws: it returns reason codes.

/** The client's fault: answered with `reason`, then the connection ends. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
  readonly code: string;
  readonly reason: number;
  constructor(code: string, reason: number, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

/** The environment's fault: port in use, disk full, certificate unreadable. */
export class OperationError extends Error {
  override readonly name = "OperationError";
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Whoever configured the broker: names the path of the option and the remedy. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code: string;
  readonly path: string;
  constructor(code: string, path: string, message: string) {
    super(message);
    this.code = code;
    this.path = path;
  }
}
