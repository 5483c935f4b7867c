// From settings to the options of createBroker(): reads certificates, leaves everything else to the broker.
import { join } from "node:path";
import type { BrokerListener, BrokerOptions, Logger } from "../../options.ts";
import type { TlsFiles } from "../../transport/streams/stream.ts";
import { RUN_LOG_DIRECTORY } from "./defaults.ts";
import type { Settings } from "./settings.ts";
import { readTls } from "./tls-files.ts";

export interface BrokerParts {
  /** Makes or loads the self-signed certificate; asked only where a listener needs it. */
  readonly ownCertificate: () => Promise<TlsFiles>;
  /** Certificate of the authority for devices; undefined: there is none [AUTH-11]. */
  readonly deviceAuthority?: () => Promise<string | undefined>;
  readonly devices?: BrokerOptions["devices"];
  readonly logger?: Logger;
}

export async function brokerOptions(settings: Settings, parts: BrokerParts): Promise<BrokerOptions> {
  const listeners: BrokerListener[] = [];
  for (const { listener, profile, tls } of settings.listeners) {
    const options = tls && (await readTls(tls, parts.ownCertificate));
    // Where nothing else is said, a listener for devices asks for certificates as soon as some may exist.
    const asks = profile === "platform" && tls?.clientCertificate === undefined && listener.kind !== "https";
    const ca = options && asks && options.ca === undefined ? await parts.deviceAuthority?.() : undefined;
    listeners.push({
      ...listener,
      profile,
      ...(options ? { tls: ca ? { ...options, ca, clientCertificate: "request" } : options } : {}),
    });
  }
  return {
    profile: settings.profile,
    listeners,
    platform: settings.platform,
    runLogDirectory: join(settings.dataDirectory, RUN_LOG_DIRECTORY),
    limits: settings.limits,
    sysInterval: settings.sysInterval,
    sharedStrategy: settings.sharedStrategy,
    willsAtShutdown: settings.willsAtShutdown,
    sharedMoveAtDisconnect: settings.sharedMoveAtDisconnect,
    // Named even where undefined: a reload must see that an option has gone.
    passwordFile: settings.passwordFile,
    aclFile: settings.aclFile,
    devices: parts.devices,
    logger: parts.logger,
  };
}
