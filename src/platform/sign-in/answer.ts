// The two answers to a CONNECT: a refusal with the codes of the settings, or the identity the device has from now on.
import type { ConnectAcceptance, ConnectRefusal, ConnectRequest } from "../../access/policy.ts";
import type { DeviceData } from "../contract/device-data.ts";
import type { ConnectCodes, PlatformSettings } from "../settings/settings.ts";
import { type DeviceId, keyOf } from "../names/user-name.ts";
import type { ClientIdField } from "../names/client-id.ts";
import type { Terms } from "./terms.ts";

/** A CONNECT whose parts have been read. */
export interface Claim extends ClientIdField {
  readonly request: ConnectRequest;
  readonly device: DeviceId;
}

export function refuse({ code3, reason }: ConnectCodes, reasonString: string): ConnectRefusal {
  return { ok: false, code3, reason, reasonString };
}

/** `key`: which of the sessions of the device it is; `more` is known of it. */
export function accept(
  { request, device, clientId, extensions }: Claim,
  { auth }: PlatformSettings,
  terms: Terms,
  key?: string,
  more?: Pick<DeviceData, "tokenClientId" | "greeting" | "errand">,
): ConnectAcceptance {
  const { productKey, deviceName } = device;
  const { level, username } = request;
  const { userProperties } = request.properties;
  const assigned = clientId === "" ? fillIn(auth.assignedClientId, device) : undefined; // [AUTH-8]
  return {
    ok: true,
    identity: {
      clientId: assigned ?? clientId,
      username,
      // The device, not the client id, owns the session [SESS-0] and the one connection [CONN-1].
      sessionKey: key ?? keyOf(device),
      data: {
        device,
        productKey,
        deviceName,
        level,
        remoteAddress: request.stream.remoteAddress,
        extensions,
        userProperties,
        tokenClientId: more?.tokenClientId,
        greeting: more?.greeting,
        errand: more?.errand,
        online: false,
      } satisfies DeviceData,
    },
    maxSessionExpiry: more?.errand ? 0 : undefined,
    assignedClientId: assigned,
    serverKeepAlive: level === 5 ? request.keepAlive : undefined, // [V5-1]
    allowAllPublish: false,
    keepWill: level === 5 && more?.errand !== true, // [SESS-5]
    rates: terms.rates,
    deliveries: terms.deliveries,
    bytesPerSecond: terms.bytesPerSecond,
    samples: terms.samples,
  };
}

function fillIn(template: string, { productKey, deviceName }: DeviceId): string {
  return template.replaceAll("{pk}", productKey).replaceAll("{dn}", deviceName);
}
