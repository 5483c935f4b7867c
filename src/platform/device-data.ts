// What the platform knows of the client behind a session: the device, and what its CONNECT said of it.
import type { Extensions } from "./sign-in/client-id.ts";
import type { Identity } from "../access/policy.ts";
import type { UserProperty } from "../protocol/properties.ts";
import type { DeviceId } from "./user-name.ts";

/** `Identity.data` of a device. What is optional is missing of one that has not connected since the broker started. */
export interface DeviceData extends DeviceId {
  readonly level?: 3 | 4 | 5;
  readonly remoteAddress?: string;
  /** Of its ClientID field [AUTH-1]. */
  readonly extensions?: Extensions;
  /** Of its CONNECT [LOG-2]. */
  readonly userProperties?: readonly UserProperty[];
}

export function deviceOf({ data, sessionKey }: Identity): DeviceData {
  if (data !== undefined) return data as DeviceData;
  // A session restored from the store: its key is the identity [SESS-0].
  const slash = sessionKey.indexOf("/");
  return { productKey: sessionKey.slice(0, slash), deviceName: sessionKey.slice(slash + 1) };
}
