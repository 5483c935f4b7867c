// SIGHUP: reads the configuration again, hands it to the broker, and logs by key what was applied, is unchanged, or
// needs a restart. A configuration that does not validate changes nothing. The same for the authority of devices alone.
import type { BrokerOptions, Logger } from "../../options.ts";
import type { LogLevel } from "../arguments/arguments.ts";
import type { RunningBroker } from "./running-broker.ts";
import type { Settings } from "../config/settings.ts";

export interface ReloadParts {
  readonly readSettings: () => Promise<Settings>;
  readonly brokerOptions: (settings: Settings) => Promise<BrokerOptions>;
  readonly broker: Pick<RunningBroker, "reload">;
  readonly logger: Logger & { setLevel(level: LogLevel): void };
}

/** Returns the settings now in force. Never rejects. */
export async function reload(current: Settings, parts: ReloadParts): Promise<Settings> {
  const { broker, logger } = parts;
  try {
    let next = current;
    const outcome = await broker.reload(async () => {
      next = await parts.readSettings();
      return parts.brokerOptions(next);
    });
    const applied = [...outcome.applied];
    const unchanged = [...outcome.unchanged];
    const restart = [...outcome.restart];
    (next.dataDirectory === current.dataDirectory ? unchanged : restart).push("data");
    (next.durability === current.durability ? unchanged : restart).push("durability");
    (next.logLevel === current.logLevel ? unchanged : applied).push("logLevel");
    logger.setLevel(next.logLevel);
    logger.info({ applied, unchanged }, "configuration reloaded");
    if (restart.length > 0) logger.warn({ restart }, "changed options that take effect at the next start");
    // The data directory and store in use stay the ones that were opened.
    return { ...next, dataDirectory: current.dataDirectory, durability: current.durability };
  } catch (error) {
    logger.error(reasonOf(error), "reload failed, nothing was changed");
    return current;
  }
}

/**
 * The data directory may have an authority for devices that it had not before [AUTH-11]: listeners are told. Resolves with whether
 * one of them asks for its certificates. Rejects where a file cannot be used; then all of them go on as they were.
 */
export async function takeAuthority(
  broker: Pick<RunningBroker, "reload">,
  brokerOptions: () => Promise<BrokerOptions>,
  logger: Pick<Logger, "error">,
): Promise<boolean> {
  let asked = false;
  try {
    await broker.reload(async () => {
      const { listeners = [] } = await brokerOptions();
      asked = listeners.some(({ profile, tls }) => profile === "platform" && tls?.ca !== undefined);
      return { listeners };
    });
  } catch (error) {
    logger.error(reasonOf(error), "the authority for devices was not taken over, nothing was changed");
    throw error;
  }
  return asked;
}

/** The reason names the file or the key. */
function reasonOf(error: unknown): object {
  const { message, code } = error as Error & { code?: string };
  return { code, reason: message };
}
