// What `import … from "millrace"` gives.
export { AccessList } from "./access/access-list.ts";
export type {
  AccessHooks,
  AuthenticateContext,
  PublishContext,
  SubscribeContext,
} from "./access/hooked-policy.ts";
export { PasswordFile } from "./access/password-file.ts";
export type * from "./access/policy.ts";
export type { PublishedMessage } from "./access/published-message.ts";
export { createScramCredentials, createScramExchange, SCRAM_SHA_256 } from "./access/scram.ts";
export { createStandardPolicy } from "./access/standard-policy.ts";
export { Broker, createBroker, type PublishOptions } from "./broker.ts";
export { ConfigError, OperationError, ProtocolError } from "./errors.ts";
export type { BrokerEvents, ClientInfo } from "./events.ts";
export { LIMITS, resolveLimits, type LimitName, type LimitOverrides, type Limits } from "./limits.ts";
export type { BrokerListener, BrokerOptions, Logger } from "./options.ts";
export { createPlatformPolicy } from "./platform/policy/platform-policy.ts";
export {
  type BadRow,
  type Device,
  type DeviceChanges,
  type DeviceImport,
  type DeviceRegistry,
  type DeviceState,
  type DeviceStatus,
  type ImportResult,
  type ImportRow,
  type KnownDevice,
  type KnownProduct,
  MemoryRegistry,
  type NewDevice,
  type NewProduct,
  openRegistry,
  type PageOptions,
  type Product,
  type ProductChanges,
  type Registry,
  type RegistryEvents,
} from "./platform/registry/index.ts";
export type { RunLogContent, RunLogEntry } from "./platform/run-log/entry.ts";
export type { RunLogQuery } from "./platform/run-log/query.ts";
export type { Properties, UserProperty } from "./protocol/properties.ts";
export type { Message } from "./routing/messages/message.ts";
export { MemoryStore } from "./store/memory-store.ts";
export { type DurableLevel, type DurableStore, openStore } from "./store/open-store.ts";
export type { Store, StoreBatch } from "./store/contract/store.ts";
export { loadOrCreateCertificate, selfSignedCertificate } from "./transport/tls/certificate.ts";
