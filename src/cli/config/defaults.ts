// What `millrace` does without arguments. The schema shows these values in docs/configuration.md.
import type { Durability, LogLevel, ProfileName } from "../arguments/arguments.ts";

export const DEFAULTS = {
  profile: "platform" as ProfileName,
  /** Relative to the working directory. */
  data: "millrace-data",
  durability: "power" as Durability,
  logLevel: "info" as LogLevel,
  /** Loopback only. The device SDKs take host and port from one URL, TLS or not: 1883 tells them apart [NET-7]. */
  listeners: ["auto://localhost:1883", "tls://localhost:8883", "ws://localhost:8083", "wss://localhost:8084"],
  sysInterval: 10,
  sharedStrategy: "round-robin",
  willsAtShutdown: false,
  sharedMoveAtDisconnect: false,
  tlsMinVersion: "1.2",
  tlsMaxVersion: "1.3",
  clientCertificate: "none",
} as const;

/** In the data directory. */
export const RUN_LOG_DIRECTORY = "run-log";
