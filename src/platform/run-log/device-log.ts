// What the broker and the services know of a device, as notes of the run log: which business type, operation, code and words
// an event has [LOG-1]. Keeps nothing. Payloads are told by their size only.
import type { ConnectRefusal, UnsentReason } from "../../access/policy.ts";
import { ReasonCode, reasonText } from "../../protocol/reason-codes.ts";
import type { Properties, UserProperty } from "../../protocol/properties.ts";
import type { DeviceRegistry } from "../registry/index.ts";
import { ALINK_CODES, foreignPath } from "../services/alink/envelope.ts";
import type { GatewayLog } from "../services/gateway/gateways.ts";
import type { RrpcEvents } from "../services/rrpc.ts";
import type { DeviceMessage, PushMessage, PushOutcome } from "../contract/service.ts";
import { SHADOW_ERRORS, type ShadowError } from "../services/shadow/shadow-document.ts";
import type { DeviceId } from "../names/user-name.ts";
import {
  type BusinessType,
  LogCode,
  quoted,
  type RunLogContent,
  type ToldContent,
  type WrittenContent,
} from "./entry.ts";
import { fixed, type LineBuffer } from "./line-buffer.ts";
import { CONNECT_CODES, DISCONNECTED, REFUSED, RRPC_CODES, SUBSCRIPTION_CODES } from "./log-words.ts";
import type { RunLog } from "./run-log.ts";

/** A message of a device, as far as the log tells of it. */
export interface LoggedMessage {
  readonly device: DeviceId;
  readonly topic: string;
  readonly size: number;
  readonly qos: number;
  readonly retain: boolean;
  readonly properties: Properties | undefined;
  readonly messageId?: string;
  readonly time: number;
}

/** How a device came. */
export interface Arrival {
  readonly remoteAddress: string | undefined;
  readonly version: "3.1" | "3.1.1" | "5.0";
  readonly clientId: string;
}

const ADDRESS = fixed('{"Params":{"remoteAddress":');
const VERSION = fixed(',"version":');
const CLIENT_ID = fixed(',"clientId":');
const ENDS = fixed("}}");
const PROPERTIES = fixed('},"UserProperties":');
const LAST_END = fixed("}");

/** Written at each sign-in: no text is made of it. */
class ArrivalContent implements WrittenContent {
  readonly #address: string;
  readonly #version: string;
  readonly #clientId: string;
  /** As JSON; empty: none. */
  readonly #userProperties: string;

  constructor({ remoteAddress = "", version, clientId }: Arrival, userProperties: readonly UserProperty[]) {
    this.#address = remoteAddress;
    this.#version = version;
    this.#clientId = clientId;
    this.#userProperties = userProperties.length === 0 ? "" : JSON.stringify(userProperties);
  }

  writeTo(buffer: LineBuffer): void {
    buffer.put(ADDRESS);
    buffer.putString(this.#address);
    buffer.put(VERSION);
    buffer.putString(this.#version);
    buffer.put(CLIENT_ID);
    buffer.putString(this.#clientId);
    if (this.#userProperties === "") buffer.put(ENDS);
    else {
      buffer.put(PROPERTIES);
      buffer.putText(this.#userProperties);
      buffer.put(LAST_END);
    }
  }
}

const NO_PROPERTIES: readonly UserProperty[] = [];

const PUSHED: { readonly [outcome in PushOutcome]: { status: number; delivery?: string; message?: string } } =
  {
    sent: { status: LogCode.success, delivery: "sent" },
    queued: { status: LogCode.success, delivery: "queued" },
    unsubscribed: { status: LogCode.requestFailed, message: "the device has not subscribed the topic" },
    throttled: {
      status: LogCode.throttled,
      message: "more messages a second than the device, or all of them together, may be sent",
    },
    offline: { status: LogCode.offline, message: "the device is offline" },
    busy: { status: LogCode.congestion, message: "too much waits for the device already" },
  };

export class DeviceLog implements GatewayLog {
  readonly #log: RunLog;
  readonly #registry: DeviceRegistry;
  readonly #count: (metric: string) => void;

  /** `count`: what went wrong is counted too, whether a log is kept or not. */
  constructor(log: RunLog, registry: DeviceRegistry, count: (metric: string) => void = () => {}) {
    this.#log = log;
    this.#registry = registry;
    this.#count = count;
  }

  // ---- coming and going ----

  /** [LOG-2] */
  online(device: DeviceId, arrival: Arrival, userProperties: readonly UserProperty[] = NO_PROPERTIES): void {
    this.#came(device, "online", LogCode.success, new ArrivalContent(arrival, userProperties));
  }

  /** `detail`: what the server ended the connection for, more exactly than the reason code says. */
  offline(device: DeviceId, reason: number, detail?: string): void {
    let message: string | undefined;
    if (reason === ReasonCode.administrativeAction) message = this.#whyEnded(device);
    if (reason === ReasonCode.unspecifiedError) message = detail;
    message ??= DISCONNECTED[reason];
    message ??= detail === undefined ? reasonText(reason) : `${reasonText(reason)}: ${detail}`;
    const own = reason === ReasonCode.success || reason === ReasonCode.disconnectWithWill;
    const why = own ? `"ResultData":{"reason":${quoted(message)}}` : `"Message":${quoted(message)}`;
    const status = own ? LogCode.success : LogCode.requestFailed;
    this.#came(device, "offline", status, `{${why},"Params":{"reasonCode":${reason}}}`);
  }

  /** Its broker was killed. `lastSeen`: when the device was there for certain, ms since the epoch. */
  unseenEnd(device: DeviceId, lastSeen: number): void {
    this.#behaviour(device, "offline", LogCode.requestFailed, {
      Message: "the broker stopped without notice",
      Params: { lastTime: new Date(lastSeen).toISOString() },
    });
  }

  /** At each sign-in and each end: made without an object of its content. */
  #came(device: DeviceId, operation: string, status: number, told: ToldContent): void {
    this.#log.write({ device, businessType: "device behaviour", operation, status, told });
  }

  /** What the registry says of a device whose connection it has ended [AUTH-13]. */
  #whyEnded({ productKey, deviceName }: DeviceId): string | undefined {
    const found = this.#registry.findDevice(productKey, deviceName);
    if (found instanceof Promise) return undefined;
    if (found === undefined) return "the device was deleted";
    return found.enabled === false ? "the device was disabled" : undefined;
  }

  /** A CONNECT in the name of this device. Nothing is said of names that do not exist. */
  refusedConnect(device: DeviceId, refusal: ConnectRefusal, remoteAddress: string | undefined): void {
    const found = this.#registry.findDevice(device.productKey, device.deviceName);
    if (found instanceof Promise) {
      found.then(
        (known) => known !== undefined && this.#refused(device, refusal, remoteAddress),
        () => {}, // whoever keeps the devices has told of that already
      );
    } else if (found !== undefined) this.#refused(device, refusal, remoteAddress);
  }

  #refused(device: DeviceId, refusal: ConnectRefusal, remoteAddress: string | undefined): void {
    const { code3, reason, reasonString, detail, logCode } = refusal;
    this.#behaviour(device, "online", logCode ?? CONNECT_CODES[reason] ?? LogCode.parameter, {
      Message: detail ?? reasonString ?? reasonText(reason),
      Params: { remoteAddress, returnCode: code3, reasonCode: reason },
    });
  }

  #behaviour(device: DeviceId, operation: string, status: number, content: RunLogContent): void {
    this.#log.write({ device, businessType: "device behaviour", operation, status, content });
  }

  // ---- messages ----

  /** `refusal`: reason code of a PUBLISH that was refused, 0: it was not. */
  message(message: LoggedMessage, refusal: number): void {
    const { device, topic, size, qos, retain, properties, messageId, time } = message;
    if (!this.#log.admits(device)) return;
    const refused = REFUSED[refusal] ?? { status: LogCode.requestFailed, message: reasonText(refusal) };
    this.#log.append({
      device,
      businessType: "device-to-cloud message",
      operation: topic,
      status: refusal === 0 ? LogCode.success : refused.status,
      content: {
        ...(refusal !== 0 && { Message: refused.message }),
        Params: { size, qos, ...(retain && { retain }) },
        ...propertiesOf(properties?.userProperties),
      },
      messageId,
      time,
    });
    const foreign = refusal === 0 ? foreignPath(topic) : undefined;
    if (foreign !== undefined)
      this.#log.write({
        device,
        businessType: "thing model check",
        operation: foreign,
        status: LogCode.notAlink,
        content: { Message: "the topic is none of the Alink protocol" },
        messageId,
        time,
      });
  }

  /** Larger than a packet may be, and passed over without being read: its topic is not known [LIMIT-1]. */
  discarded(device: DeviceId, size: number): void {
    this.#log.write({
      device,
      businessType: "device-to-cloud message",
      operation: "size",
      status: LogCode.payload,
      content: { Message: "a packet larger than a packet may be was passed over", Params: { size } },
    });
  }

  /** [LIMIT-4] */
  slowed(device: DeviceId): void {
    this.#log.write({
      device,
      businessType: "device-to-cloud message",
      operation: "bandwidth",
      status: LogCode.tooFrequent,
      content: { Message: "more bytes come than may: they are read later" },
    });
  }

  /** A request of a service that is none: it gets no answer. */
  malformed({ device, topic, messageId, traceId }: DeviceMessage): void {
    this.#count("platform.malformed");
    this.#log.write({
      device,
      businessType: "device-to-cloud message",
      operation: topic,
      status: LogCode.payload,
      content: { Message: "the payload is no request of this service" },
      messageId,
      traceId,
    });
  }

  pushed(device: DeviceId, { topic, payload, qos = 0, traceId }: PushMessage, outcome: PushOutcome): void {
    const { status, delivery, message } = PUSHED[outcome];
    this.#log.write({
      device,
      businessType: "cloud-to-device message",
      operation: topic,
      status,
      content: {
        Message: message,
        Params: { size: Buffer.byteLength(payload), qos },
        ResultData: delivery === undefined ? undefined : { delivery },
      },
      traceId,
    });
  }

  /** A message that came by routing was not sent: one in a second for each reason. */
  unsent(device: DeviceId, why: UnsentReason, topic: string | undefined, size: number | undefined): void {
    const { status, message } = PUSHED[why === "connection" ? "busy" : "throttled"];
    this.#log.write({
      device,
      businessType: "cloud-to-device message",
      operation: topic ?? "rate",
      status,
      content: { Message: `${message}; there may be more in the same second`, Params: { size, qos: 0 } },
    });
  }

  subscription(
    kind: "subscribe" | "unsubscribe",
    device: DeviceId,
    filter: string,
    code: number,
    traceId?: string,
  ): void {
    const refused = code >= 0x80;
    const status = refused ? (SUBSCRIPTION_CODES[code] ?? LogCode.requestFailed) : LogCode.success;
    this.#log.write({
      device,
      businessType: kind,
      operation: filter,
      status,
      content: refused
        ? { Message: reasonText(code), Params: { reasonCode: code } }
        : { Params: kind === "subscribe" ? { qos: code } : { reasonCode: code } },
      traceId,
    });
  }

  /** A call of the server's side. */
  call(device: DeviceId, name: string, traceId: string, status: number, content: RunLogContent): void {
    const businessType = "API call";
    this.#log.write({ device, businessType, operation: name, status, content, messageId: traceId });
  }

  // ---- services ----

  get rrpcEvents(): RrpcEvents {
    const note = (
      device: DeviceId,
      messageId: string,
      status: number,
      content: RunLogContent,
      traceId?: string,
    ): void =>
      this.#log.write({
        device,
        businessType: "API call",
        operation: "RRpc",
        status,
        content,
        messageId,
        traceId,
      });
    return {
      called: (device, messageId, topic, payload, traceId) => {
        const content = { Params: { topic, size: payload.length } };
        note(device, messageId, LogCode.success, content, traceId);
      },
      ended: (device, result, traceId) => {
        const { code, messageId } = result;
        if (code === "SUCCESS") {
          const ResultData = { code, size: result.payload.length };
          note(device, messageId, LogCode.success, { ResultData }, traceId);
        } else {
          this.#count(code === "TIMEOUT" ? "platform.rrpc_timeout" : "platform.rrpc_unreachable");
          note(device, messageId, RRPC_CODES[code].status, { Message: RRPC_CODES[code].message }, traceId);
        }
      },
      throttled: (device, messageId, traceId) =>
        note(device, messageId, LogCode.throttled, { Message: PUSHED.throttled.message }, traceId),
      stray: ({ device, topic }, messageId) => {
        this.#count("platform.rrpc_stray");
        note(device, messageId, LogCode.strayAnswer, {
          Message: "an answer nobody waits for",
          Params: { topic },
        });
      },
    };
  }

  /** A thing message that was refused, a value in one, or what a device answered to the server. */
  thing({ device, messageId, traceId }: DeviceMessage, path: string, status: number, text?: string): void {
    if (status !== LogCode.success) this.#count("platform.thing_failures");
    this.#log.write({
      device,
      businessType: businessOf(path, status),
      operation: path,
      status,
      content: status === LogCode.success ? {} : { Message: text ?? "refused" },
      messageId,
      traceId,
    });
  }

  /** Over a gateway [GW-4]. */
  subDevice(change: "online" | "offline", device: DeviceId, gateway: string, code?: number): void {
    if (code !== undefined) this.#count("platform.sub_device_ended");
    this.#behaviour(device, change, code === undefined ? LogCode.success : LogCode.requestFailed, {
      ...(code !== undefined && { Message: ALINK_CODES[code] ?? "its session over the gateway was ended" }),
      Params: { gateway, ...(code !== undefined && { code }) },
    });
  }

  topology({ device, messageId, traceId }: DeviceMessage, operation: string, code: number): void {
    if (code !== LogCode.success) this.#count("platform.gateway_refused");
    const content = code === LogCode.success ? {} : { Message: ALINK_CODES[code] ?? "refused" };
    this.#log.write({
      device,
      businessType: "topology",
      operation,
      status: code,
      content,
      messageId,
      traceId,
    });
  }

  shadow(device: DeviceId, method: string, code: number, traceId?: string): void {
    if (code !== LogCode.success) this.#count("platform.shadow_refused");
    this.#log.write({
      device,
      businessType: "device shadow",
      operation: method === "" ? "unknown" : method,
      status: code,
      content: code === LogCode.success ? {} : { Message: SHADOW_ERRORS[code as ShadowError] ?? "refused" },
      traceId,
    });
  }
}

/** By the path behind the device's names. */
function businessOf(path: string, status: number): BusinessType {
  if (path.includes("ota/")) return "OTA";
  if (path.startsWith("thing/config/")) return "remote configuration";
  if (path.startsWith("thing/service/")) return "thing model service call";
  return status === LogCode.success ? "thing model data" : "thing model check";
}

function propertiesOf(list: readonly UserProperty[] = []): Pick<RunLogContent, "UserProperties"> {
  return list.length === 0 ? {} : { UserProperties: list };
}
