// SIGHUP: reads the configuration again, hands it to the broker, and logs by key what was applied, is unchanged, or
// needs a restart. A configuration that does not validate changes nothing.
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
    const next = await parts.readSettings();
    const outcome = await broker.reload(await parts.brokerOptions(next));
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
    const { message, code } = error as Error & { code?: string };
    logger.error({ code, reason: message }, "reload failed, nothing was changed");
    return current;
  }
}
