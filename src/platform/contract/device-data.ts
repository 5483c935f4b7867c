// What the platform knows of the client behind a session: the device, and what its CONNECT said of it.
import type { Extensions } from "../names/client-id.ts";
import type { Identity } from "../../access/policy.ts";
import type { UserProperty } from "../../protocol/properties.ts";
import type { PushMessage } from "./service.ts";
import type { DeviceId } from "../names/user-name.ts";

/** `Identity.data` of a device. What is optional is missing of one that has not connected since the broker started. */
export interface DeviceData extends DeviceId {
  /** The names alone: one object for everybody who keeps them. */
  readonly device?: DeviceId;
  readonly level?: 3 | 4 | 5;
  readonly remoteAddress?: string;
  /** Of its ClientID field [AUTH-1]. */
  readonly extensions?: Extensions;
  /** Of its CONNECT [LOG-2]. */
  readonly userProperties?: readonly UserProperty[];
  /** Client id of the token it signed in with [AUTH-10]; such a device has a session of its own [SESS-0]. */
  readonly tokenClientId?: string;
  /** Told behind its CONNACK, without any subscription [DYN-3] [DYN-4] [AUTH-11]. */
  readonly greeting?: PushMessage;
  /** It came for the greeting alone, is not online, and goes soon [DYN-5]. */
  readonly errand?: boolean;
  /** Its connection is there. */
  online?: boolean;
}

/** The client behind the session came or went. */
export function setOnline({ data }: Identity, online: boolean): void {
  if (data !== undefined) (data as DeviceData).online = online;
}

/** The names of the device behind a session, without what else is known of it. */
export function namesOf(identity: Identity): DeviceId {
  const { device, productKey, deviceName } = deviceOf(identity);
  return device ?? { productKey, deviceName };
}

export function deviceOf({ data, sessionKey }: Identity): DeviceData {
  if (data !== undefined) return data as DeviceData;
  // A session restored from the store: its key is the identity [SESS-0].
  const [productKey, deviceName, tokenClientId] = sessionKey.split("/");
  return { productKey, deviceName, tokenClientId };
}
