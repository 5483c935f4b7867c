// The platform profile: devices sign in, publish and subscribe as on the Alibaba Cloud IoT Platform. Composes the rules
// of this folder into a policy; who may connect is decided in sign-in/.
import { MAX_MESSAGE_BYTES } from "../shared/message-size.ts";
import type { Capabilities, Identity, Policy, SubscribeVerdict } from "../../access/policy.ts";
import type { Limits } from "../../limits.ts";
import { type DeviceData, deviceOf, namesOf, setOnline } from "../contract/device-data.ts";
import { isFreeTopic, productSpaces } from "./free-topics.ts";
import { compileGrants, mayPublish, maySubscribe, type ProductGrants } from "./grants.ts";
import type { DeviceRegistry, KnownProduct } from "../registry/index.ts";
import { type PlatformOverrides, type PlatformSettings, resolveSettings } from "../settings/settings.ts";
import type { PushMessage } from "../contract/service.ts";
import { propertyRefusal } from "./property-bounds.ts";
import { SignIn, type SignInOptions } from "../sign-in/sign-in.ts";
import { termsOf } from "../sign-in/terms.ts";
import { isOversize, ownerIn, retainedFilters } from "../names/topic-bounds.ts";
import { type DeviceId, keyOf } from "../names/user-name.ts";

export { type DeviceData, deviceOf };

/** What the policy leaves to the services of the platform. */
export interface ServiceDesk {
  /** `host`: a service takes the message. `tap`: somebody wants a copy. undefined: nobody cares. */
  interestIn(topic: string): "host" | "tap" | undefined;
  /** The sub-device whose names stand in the topic and which this session speaks for [GW-4], or the session's own device. */
  speakerIn(topic: string, own: DeviceId, sessionKey: string): DeviceId;
  /** A PUBLISH without permission. True: the next one wants to be told too [GW-4]. */
  refused(identity: Identity, topic: string): boolean;
  serve: NonNullable<Policy["serve"]>;
  tapped: NonNullable<Policy["tapped"]>;
  /** It is about to be given its session. */
  arriving(identity: Identity): void;
  connected(identity: Identity): void;
  /** Behind the CONNACK of one that is told something unasked. It came for that alone: it goes soon [DYN-5]. */
  greet(sessionKey: string, greeting: PushMessage, errand: boolean): void;
  /** One that came for its greeting alone is gone. */
  left(sessionKey: string): void;
  disconnected(identity: Identity, reason: number, lastSeen?: number): void;
  /** Less than 1, and another number when speakerIn() has changed for the session. */
  linkVersion(sessionKey: string): number;
}

export interface PlatformPolicyOptions {
  readonly registry: DeviceRegistry;
  readonly limits: Limits;
  readonly settings?: PlatformOverrides | PlatformSettings;
  /** Default: no services. */
  readonly desk?: ServiceDesk;
  /** Default: one with these settings. */
  readonly signIn?: SignIn;
  readonly capabilities?: Partial<Capabilities>;
  /** Told of what is accepted though it looks wrong [AUTH-9]. */
  readonly logger?: SignInOptions["logger"];
}

const NOT_AUTHORIZED = 0x87;
const FILTER_INVALID = 0x8f;
const DENIED = { allow: false, reason: NOT_AUTHORIZED } as const;
const OVERSIZE = { allow: false, reason: 0x90 } as const;
const DENIED_ONCE = { ...DENIED, cacheable: false } as const;
const ALLOWED = { allow: true } as const;
const TAPPED = { allow: true, tap: true } as const;
const SERVED = { allow: true, host: true } as const;
const IGNORED = { reason: NOT_AUTHORIZED, ignore: true } as const;

/** What the server alone says, on topics nobody subscribes [TOPIC-8]. */
const PUSH_ONLY = new Set(["/ext/register", "/ext/regnwl", "/ext/auth/identity/response"]);

export function createPlatformPolicy(options: PlatformPolicyOptions): Policy {
  const { registry, logger, desk } = options;
  const settings = resolveSettings(options.settings);
  const capabilities = platformCapabilities(options.limits, settings, options.capabilities);
  const signIn = options.signIn ?? new SignIn({ registry, settings, logger, mqtt5: capabilities.mqtt5 });
  const compiled = new WeakMap<KnownProduct, ProductGrants>();

  function grantsOf({ productKey }: DeviceId): ProductGrants | undefined {
    const product = registry.findProduct(productKey);
    if (product === undefined) return undefined;
    let grants = compiled.get(product);
    if (grants === undefined) {
      grants = compileGrants(productKey, product.topicClasses, {
        broadcastPublish: settings.broadcast.devicePublish,
      });
      compiled.set(product, grants);
    }
    return grants;
  }

  const spaces = productSpaces(registry);
  const forbidden: SubscribeVerdict = settings.subscribe.closeOnUnauthorized
    ? { reason: NOT_AUTHORIZED, close: true }
    : NOT_AUTHORIZED;
  const limited = termsOf(settings).rates !== undefined;

  /** A sub-device has a rate of its own at its gateway [LIMIT-2]. */
  function meterOf(identity: Identity, { productKey, deviceName }: DeviceId): string | undefined {
    if (!limited) return undefined;
    const own = deviceOf(identity);
    if (own.deviceName === deviceName && own.productKey === productKey) return undefined;
    return `${productKey}/${deviceName}`;
  }

  function isFree({ productKey }: DeviceId, topic: string): boolean {
    return registry.findProduct(productKey)?.freeTopics === true && isFreeTopic(topic, registry); // [TOPIC-10]
  }

  /** Whose rights count for a topic: the device's own, or those of a sub-device it speaks for [GW-4]. */
  function speakerOf(identity: Identity, topic: string): DeviceId {
    const own = deviceOf(identity);
    // What a session speaks for is its connection's, not that of the next one, whose Will is asked about.
    if (!own.online) return own;
    return desk?.speakerIn(topic, own, identity.sessionKey) ?? own;
  }

  return {
    name: "platform",
    namespace: "platform",
    capabilities,
    connect(request) {
      return propertyRefusal(request, settings) ?? signIn.connect(request);
    },
    authorizePublish(identity, topic, _qos, retain) {
      if (deviceOf(identity).errand) return desk ? SERVED : DENIED; // ignored there [DYN-5]
      if (isOversize(topic, settings)) return OVERSIZE; // [TOPIC-5] [TOPIC-6]
      const strict = settings.sessions.strict3x && deviceOf(identity).level !== 5;
      if (strict && retain) return { ...DENIED, cacheable: false }; // [SESS-5]
      const device = speakerOf(identity, topic);
      const grants = grantsOf(device);
      const free = isFree(device, topic);
      if (grants === undefined || !(free || mayPublish(grants, device.deviceName, topic)))
        return desk?.refused(identity, topic) ? DENIED_ONCE : DENIED; // [PERM-1]
      const interest = desk?.interestIn(topic);
      const verdict = interest === undefined ? ALLOWED : interest === "host" ? SERVED : TAPPED;
      const meter = meterOf(identity, device);
      // With `strict` the next one may be retained: it is asked for on its own.
      if (meter === undefined && !strict && !free) return verdict;
      return { ...verdict, meter, cacheable: !strict, isolated: free };
    },
    authorizeSubscribe(identity, { filter, shareName, qos, level }) {
      if (deviceOf(identity).errand) return IGNORED; // [DYN-5]
      if (isOversize(filter, settings)) return FILTER_INVALID;
      if (shareName !== undefined) {
        if (level !== 5) return NOT_AUTHORIZED; // [V5-10]
        if (!/^[A-Za-z0-9_]+$/.test(shareName) || filter === "") return FILTER_INVALID;
      }
      const device = speakerOf(identity, filter);
      const grants = grantsOf(device);
      if (
        grants === undefined ||
        !(isFree(device, filter) || maySubscribe(grants, device.deviceName, filter))
      )
        return forbidden; // [PERM-2]
      return Math.min(qos, capabilities.maximumQos); // [QOS-1] [QOS-2]
    },
    authorizeDelivery(identity, topic) {
      const device = speakerOf(identity, topic);
      const grants = grantsOf(device);
      if (PUSH_ONLY.has(topic)) return true;
      return (
        grants !== undefined && (isFree(device, topic) || maySubscribe(grants, device.deviceName, topic))
      );
    },
    spaces,
    subscriptionBounds(identity, filter) {
      // Free names are no device's, whatever stands where others have one.
      const owner = spaces.covers(filter) ? undefined : ownerIn(filter);
      return {
        owner: owner ?? keyOf(deviceOf(identity)),
        most: settings.subscribe.maxPerDevice, // [SUB-2]
        subscribers: filter.startsWith("/broadcast/") ? settings.subscribe.maxPerBroadcast : undefined, // [TOPIC-9]
      };
    },
    crowdOf(filter) {
      // Every filter of a broadcast topic a device may have names its product [TOPIC-7].
      return filter.startsWith("/broadcast/") ? filter.split("/", 3)[2] : undefined;
    },
    retainedBounds(_identity, topic) {
      // Anybody of its product may set one on a free topic: those have the broker's limits.
      const filters = spaces.covers(topic) ? undefined : retainedFilters(topic);
      return filters && { filters, most: settings.v5.maxRetained }; // [V5-5]
    },
    ...(desk && { serve: desk.serve.bind(desk), tapped: desk.tapped.bind(desk) }),
    arriving(identity) {
      if (!deviceOf(identity).errand) desk?.arriving(identity);
    },
    connected(identity) {
      setOnline(identity, true);
      const { level, remoteAddress, tokenClientId, greeting, errand } = deviceOf(identity);
      if (!errand) {
        const family = tokenClientId !== undefined ? undefined : level === 5 ? "5" : "3.x";
        registry.connected?.(namesOf(identity), family, remoteAddress); // [AUTH-14]
        desk?.connected(identity);
      }
      if (greeting) desk?.greet(identity.sessionKey, greeting, errand === true);
    },
    disconnected(identity, reason, lastSeen) {
      setOnline(identity, false);
      if (deviceOf(identity).errand) {
        desk?.left(identity.sessionKey);
        return;
      }
      desk?.disconnected(identity, reason, lastSeen);
      registry.disconnected?.(namesOf(identity));
    },
    get generation() {
      return registry.generation;
    },
    grantsVersion({ sessionKey }) {
      return registry.generation + (desk?.linkVersion(sessionKey) ?? 0);
    },
  };
}

function platformCapabilities(
  limits: Limits,
  settings: PlatformSettings,
  overrides: Partial<Capabilities> | undefined,
): Capabilities {
  return {
    maximumQos: 1, // [QOS-1]
    retain3: false, // [SESS-5]
    retain5: true,
    wildcardSubscriptions: true,
    subscriptionIdentifiers: false, // [V5-11]
    sharedSubscriptions3: false,
    sharedSubscriptions5: true, // [V5-10]
    publisherQos3: true, // [QOS-2]
    publisherQos5: settings.qos.publisherDecides5, // [QOS-3]
    dedupeQos1: true, // [QOS-4]
    receiveMaximum: Math.min(100, limits.receiveMaximum), // [LIMIT-5]
    unacknowledged3: 100, // [LIMIT-5]
    topicAliasMaximum: Math.min(20, limits.topicAliasMaximum), // [V5-9]
    maximumPacketSize: Math.min(MAX_MESSAGE_BYTES, limits.maxPacketSize), // [LIMIT-1]
    announceAll: true, // [V5-1]
    discardOversize3: true, // [LIMIT-1]
    mqtt5: settings.mqtt5.enabled, // [NET-2]
    enhancedAuthentication: false, // [NET-4]
    optionReasons: { qos3: 0x81, reserved: 0x82 }, // [QOS-1] [V5-4]
    queueOverflow: "oldest", // [SESS-2]
    maxQueueAge: settings.sessions.maxQueueSeconds, // [SESS-2]
    validatePayloadFormat: settings.v5.validateUtf8, // [V5-12]
    filtersPerSubscribe: settings.subscribe.maxFilters, // [SUB-1]
    sendWindow5: settings.v5.maxInflight, // [V5-16]
    propertyBounds: {
      userProperties: settings.v5.maxUserProperties, // [V5-7]
      userPropertyCharacters: settings.v5.maxUserPropertyCharacters,
      responseTopic: settings.v5.maxResponseTopic, // [V5-8]
      correlationData: settings.v5.maxCorrelationBytes,
    },
    ...overrides,
  };
}
