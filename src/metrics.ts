// Counters of the broker, plain numbers in one object: nothing on the hot path but `++`. The core counts its own.

export class Metrics {
  connectionsAccepted = 0;
  connectsRefused = 0;
  /** CONNECT packets, whatever became of them. */
  connects = 0;
  /** Packets the core left to the host, and packets the host has written to connections that are gone. */
  packetsReceived = 0;
  packetsSent = 0;
  sessionsExpired = 0;
  bytesReceived = 0;
  bytesSent = 0;
  droppedQueue = 0;
  expiredQueue = 0;
  refusedRetained = 0;
  protocolErrors = 0;
  commitFailures = 0;
  traps = 0;
  /** Exceptions of the broker's own code. */
  handlerErrors = 0;
  hookErrors = 0;
  /** Reloads that could not be read or applied. */
  failedReloads = 0;
  /** Times a limit of limits.ts has acted, by its metric's name, and what else is counted from its first time on. */
  readonly limits = new Map<string, number>();

  limit(metric: string, by = 1): void {
    this.limits.set(metric, (this.limits.get(metric) ?? 0) + by);
  }
}
