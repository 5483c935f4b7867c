// Where the broker logs to. An embedder hands in its own; the command line has cli/start/logger.ts. Nothing here logs.

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
