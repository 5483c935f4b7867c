// What every device is granted at sign-in alike: how often it may publish and be sent to, how many bytes it may bring, how many
// of its messages are sampled for the run log. Made once from the settings; all acceptances share the same objects.
import type { ConnectAcceptance } from "../../access/policy.ts";
import type { PlatformSettings } from "../settings/settings.ts";

export type Terms = Pick<ConnectAcceptance, "rates" | "deliveries" | "bytesPerSecond" | "samples">;

const QUOTA_EXCEEDED = 0x97;

export function termsOf({ rates, runLog, v5 }: PlatformSettings): Terms {
  const limited = rates.qos0PerSecond > 0 || rates.qos1PerSecond > 0 || rates.accountPerSecond > 0;
  const paced = rates.deliveriesPerSecond > 0 || rates.accountDeliveriesPerSecond > 0;
  return {
    rates: limited
      ? {
          qos0: rates.qos0PerSecond, // [LIMIT-2]
          qos1: rates.qos1PerSecond,
          ofAll: rates.accountPerSecond, // [LIMIT-3]
          beyond: v5.rateReason ? QUOTA_EXCEEDED : undefined,
        }
      : undefined,
    deliveries: paced
      ? {
          each: rates.deliveriesPerSecond, // [SESS-3]
          ofAll: rates.accountDeliveriesPerSecond, // [LIMIT-3]
        }
      : undefined,
    bytesPerSecond: rates.bytesPerSecond, // [LIMIT-4]
    samples: runLog.enabled
      ? { perSecond: runLog.entriesPerSecond, ofAll: runLog.samplesPerSecond }
      : undefined, // [LOG-1]
  };
}
