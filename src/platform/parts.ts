// What the platform consists of in a running broker: the services, what they share, and what they hear of a changed registry.
// Made once, when the broker is there. Composition only: what a service does is in its own file.
import { OperationError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { ReasonCode } from "../protocol/reason-codes.ts";
import { ClientIds } from "./connections/client-ids.ts";
import { DeviceConnections } from "./connections/device-connections.ts";
import { Greetings } from "./connections/greetings.ts";
import type { PlatformHost } from "./contract/host.ts";
import { isHalfOpen } from "./connections/online-device.ts";
import { type DeviceRegistry, Registry } from "./registry/index.ts";
import type { Documents } from "./registry/table/documents.ts";
import { calledBy } from "./run-log/called.ts";
import type { DeviceLog } from "./run-log/device-log.ts";
import { ServerCalls } from "./server-calls.ts";
import { MALFORMED_METRIC } from "./services/alink/envelope.ts";
import { Things } from "./services/things.ts";
import { Broadcasts } from "./services/broadcast.ts";
import { Gateways } from "./services/gateway/gateways.ts";
import type { MessageIds } from "./shared/message-ids.ts";
import { ntpService } from "./services/ntp.ts";
import { RouteTable } from "./services/route-table.ts";
import { Rrpc } from "./services/rrpc.ts";
import type { Service } from "./contract/service.ts";
import { Shadows } from "./services/shadow/shadow.ts";
import type { PlatformSettings } from "./settings/settings.ts";
import { tokenSessionKey } from "./sign-in/token.ts";
import { DeviceNotices } from "./upstream/device-notices.ts";
import type { UpstreamFeed } from "./upstream/feed.ts";
import { retainedFilters } from "./names/topic-bounds.ts";
import { type DeviceId, keyOf } from "./names/user-name.ts";

export interface Parts {
  readonly devices: DeviceConnections;
  readonly calls: ServerCalls;
  readonly rrpc: Rrpc;
  readonly shadows: Shadows;
  readonly things: Things;
  readonly broadcasts: Broadcasts;
  readonly notices: DeviceNotices;
  readonly gateways: Gateways | undefined;
  readonly greetings: Greetings;
  readonly clientIds: ClientIds;
  readonly services: readonly Service[];
  /** Services that want to know who comes and goes. */
  readonly followers: readonly Service[];
  readonly routes: RouteTable;
  /** Ends hearing of the registry. */
  readonly unfollow: readonly (() => void)[];
}

/** What is there before a broker is. */
export interface Foundation {
  readonly host: PlatformHost;
  readonly registry: DeviceRegistry;
  readonly logger: Logger;
  readonly settings: PlatformSettings;
  readonly documents: Documents;
  readonly upstream: UpstreamFeed;
  readonly ids: MessageIds;
  readonly log: DeviceLog;
}

export function makeParts(foundation: Foundation): Parts {
  const { host, registry, logger, settings, documents, upstream, ids, log } = foundation;
  const called = calledBy(log, ids);
  const devices = new DeviceConnections(
    host,
    (device) => keptSessions(registry, device),
    (...pushed) => log.pushed(...pushed),
  );
  const rrpc = new Rrpc({
    devices,
    ids,
    isHalfOpen: (online) => isHalfOpen(host, online, Date.now()),
    events: log.rrpcEvents,
    settings: settings.rrpc,
  });
  const shadows = new Shadows({
    devices,
    documents,
    settings: settings.shadow,
    done: (...done) => log.shadow(...done),
    requireKnown: (device) => requireKnown(registry, device),
    called,
  });
  const broadcasts = new Broadcasts({
    devices,
    ids,
    settings: settings.broadcast,
    maxTopicBytes: settings.topics.maxBytes,
    requireProduct: (productKey) => requireProduct(registry, productKey),
    online: () => devices.reachable(),
    publish: (message) => host.publish(message),
  });
  const notices = new DeviceNotices(upstream, registry, ids);
  // Topology is kept in a registry of ours.
  const gateways =
    registry instanceof Registry
      ? new Gateways({ host, connections: devices, registry, notices, settings: settings.gateway, log })
      : undefined;
  const things = new Things({
    devices,
    rrpc,
    registry,
    documents,
    upstream,
    ids,
    settings: settings.thing,
    logger,
    malformed: () => host.count(MALFORMED_METRIC),
    log: (...what) => log.thing(...what),
    called,
  });
  const services: Service[] = [
    rrpc,
    ntpService(devices, (message) => log.malformed(message)),
    shadows,
    ...(gateways?.services ?? []),
    things,
  ];
  return {
    devices,
    calls: new ServerCalls({ host, registry, settings, ids, log, devices }),
    rrpc,
    shadows,
    things,
    broadcasts,
    notices,
    gateways,
    clientIds: new ClientIds(host),
    greetings: new Greetings(host, settings.dynreg),
    services,
    followers: services.filter(({ online, offline }) => online !== undefined || offline !== undefined),
    routes: new RouteTable(services),
    unfollow: [...follow(foundation, devices, shadows), ...things.follow()],
  };
}

function requireProduct(registry: DeviceRegistry, productKey: string): void {
  if (registry.findProduct(productKey) !== undefined) return;
  const message = `productKey: "${productKey}": there is no such product; millrace product list shows them`;
  throw new OperationError("REGISTRY_MISSING", message);
}

/** What is kept for a device that is not there would be found by one that comes later. */
function requireKnown(registry: DeviceRegistry, { productKey, deviceName }: DeviceId): void {
  if (registry.findDevice(productKey, deviceName) !== undefined) return;
  const message = `deviceName: there is no device "${deviceName}" of product "${productKey}"; millrace device list ${productKey} shows them`;
  throw new OperationError("REGISTRY_MISSING", message);
}

/** Of the triple, and of each token [SESS-0]. */
function keptSessions(registry: DeviceRegistry, device: DeviceId): readonly string[] {
  const found = registry.findDevice(device.productKey, device.deviceName);
  const tokens = found === undefined || found instanceof Promise ? [] : (found.tokens ?? []);
  return [keyOf(device), ...tokens.map(({ clientId }) => tokenSessionKey(device, clientId))];
}

/** A changed registry takes effect at once. Returns what ends that. */
function follow(
  { host, registry, logger }: Foundation,
  devices: DeviceConnections,
  shadows: Shadows,
): (() => void)[] {
  const revoked = registry.onRevoked?.((device, why) => {
    devices.disconnect(device, ReasonCode.administrativeAction, `The device was ${why}`); // [AUTH-13]
    if (why === "deleted") devices.forget(device);
  });
  const unfollow = revoked === undefined ? [] : [revoked];
  if (!(registry instanceof Registry)) return unfollow;
  return [
    ...unfollow,
    registry.on("product.created", () => {
      // Names that were free may be its own now, and are nobody else's [TOPIC-10].
      if (registry.products.some(({ freeTopics }) => freeTopics)) host.grantsChanged();
    }),
    registry.on("product.changed", () => host.grantsChanged()),
    registry.on("product.deleted", () => host.grantsChanged()),
    registry.on("device.tokensGone", (device) => devices.forgetTokens(device)), // [AUTH-10]
    registry.on("device.certificateGone", (device) => {
      if (registry.findProduct(device.productKey)?.authType !== "x509") return;
      devices.disconnect(device, ReasonCode.administrativeAction, "The device has another certificate");
    }),
    registry.on("device.deleted", (device) => {
      host.forgetRetained(retainedFilters(`/${keyOf(device)}/`) ?? []);
      shadows
        .forget(device)
        .catch((error: unknown) =>
          logger.error(
            { err: error, productKey: device.productKey, deviceName: device.deviceName },
            "a shadow stays",
          ),
        );
    }),
  ];
}
