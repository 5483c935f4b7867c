// `millrace start`: everything between arguments and a running broker, and its orderly end. Order matters: the data
// directory is locked and its control socket answers before anything else is opened, and both are given back last.
import { join, resolve } from "node:path";
import { OperationError } from "../../errors.ts";
import type { BrokerOptions } from "../../options.ts";
import { ensureDemo } from "../../platform/demo.ts";
import { hasRegistry, openRegistry, type Registry } from "../../platform/registry/index.ts";
import type { DurableStore } from "../../store/open-store.ts";
import { CERTIFICATE_FILE, loadOrCreateCertificate } from "../../transport/tls/certificate.ts";
import { readAuthority } from "../../transport/tls/device-authority.ts";
import type { TlsFiles } from "../../transport/streams/stream.ts";
import { VERSION } from "../../version.ts";
import type { StartFlags } from "../arguments/arguments.ts";
import { BackupDesk, makeBackup } from "../data/backup.ts";
import { brokerOptions } from "../config/broker-options.ts";
import { checkSettings } from "./check.ts";
import { loadConfigFile } from "../config/config.ts";
import { openControlServer } from "../control/control-server.ts";
import { openDataDirectory } from "../data/data-directory.ts";
import { DEFAULTS } from "../config/defaults.ts";
import { demoLines, durabilityLine, listenerLines, type OpenListener, ratesLine } from "./greeting.ts";
import type { CliLogger } from "./logger.ts";
import { PlatformCalls } from "../control/platform-calls.ts";
import { RegistryCalls } from "../registry/registry-calls.ts";
import { reload, takeAuthority } from "./reload.ts";
import type { RunningBroker } from "./running-broker.ts";
import { resolveSettings, type Settings } from "../config/settings.ts";
import { type SignalSource, watchSignals } from "./signals.ts";
import { openLevel } from "../data/store-level.ts";

/** How long clients may take what is already theirs when the broker stops. */
const DRAIN_MS = 2_000;

export interface StartParts {
  readonly createBroker: (options: BrokerOptions) => Promise<RunningBroker>;
  readonly logger: CliLogger;
  /** Standard output. */
  readonly print: (text: string) => void;
  /** The second stop signal. */
  readonly exitNow: () => void;
  /** Default: this process. */
  readonly signals?: SignalSource;
}

export async function readSettings(flags: StartFlags): Promise<Settings> {
  return resolveSettings(flags, flags.config === undefined ? undefined : await loadConfigFile(flags.config));
}

/** Runs a broker until the process is told to stop. Rejects where it could not be started. */
export async function runBroker(flags: StartFlags, first: Settings, parts: StartParts): Promise<void> {
  const { logger, print } = parts;
  let settings = first;
  let reloadNow: () => Promise<void> = async () => {};
  const data = await openDataDirectory(settings.dataDirectory);
  const signals = watchSignals({ exitNow: parts.exitNow, reload: () => reloadNow() }, parts.signals);
  try {
    if (data.exposed)
      logger.warn({ directory: data.path }, "other users may read the data directory: chmod 700");
    const registry = new LazyRegistry(data.path, logger);
    const starting = startBroker(settings, parts, registry);
    // Handled where it is awaited below; the control socket may be first to ask.
    starting.catch(() => {});
    const backups = new BackupDesk();
    const control = await openControlServer({
      dataDirectory: data.path,
      publish: async (message) => {
        await (await starting).broker.publish(message);
      },
      backup: async (directory) => {
        const { store } = await starting;
        if (store === undefined) {
          const message =
            "the broker runs at durability none: it keeps no messages that could be copied; device export has the devices";
          throw new OperationError("STORE_MISSING", message);
        }
        await backups.make(async () => {
          const devices = hasRegistry(data.path) ? await registry.get() : undefined;
          await makeBackup(store, devices, data.path, directory);
        });
        logger.info({ directory }, "backup made");
      },
      registry: () =>
        new RegistryCalls(
          () => registry.get(),
          async () => {
            const { broker, options } = await starting;
            return takeAuthority(broker, () => options(settings), logger);
          },
        ),
      platform: new PlatformCalls({
        broker: async () => (await starting).broker,
        registry: () => registry.get(),
      }),
    });
    try {
      const { broker, options, greeting } = await starting;
      reloadNow = async () => {
        settings = await reload(settings, {
          // Everything is read and checked before the broker is told, so that a bad file changes nothing.
          readSettings: async () => {
            const next = await readSettings(flags);
            await checkSettings(next);
            return next;
          },
          brokerOptions: options,
          broker,
          logger,
        });
      };
      print(greeting);
      const signal = await signals.stopped;
      logger.info({ signal, drainMs: DRAIN_MS }, "stopping");
      await backups.close();
      await broker.close({ drainMs: DRAIN_MS });
    } finally {
      await control.close();
      await registry.close();
    }
  } finally {
    data.release();
    signals.dispose();
  }
}

interface Started {
  readonly broker: RunningBroker;
  /** Closed by the broker. undefined: level none. */
  readonly store: DurableStore | undefined;
  /** The broker's options for other settings, for a reload. */
  readonly options: (settings: Settings) => Promise<BrokerOptions>;
  readonly greeting: string;
}

/** Opened where the platform profile or a command needs it. */
class LazyRegistry {
  readonly #dataDirectory: string;
  readonly #logger: CliLogger;
  #opening: Promise<Registry> | undefined;

  constructor(dataDirectory: string, logger: CliLogger) {
    this.#dataDirectory = dataDirectory;
    this.#logger = logger;
  }

  get(): Promise<Registry> {
    this.#opening ??= openRegistry(this.#dataDirectory, this.#logger);
    return this.#opening;
  }

  async close(): Promise<void> {
    // Whoever asked for it was told where it could not be opened.
    await (await this.#opening?.catch(() => undefined))?.close();
  }
}

async function startBroker(
  settings: Settings,
  { createBroker, logger }: StartParts,
  lazyRegistry: LazyRegistry,
): Promise<Started> {
  const { dataDirectory } = settings;
  let certificate: Promise<TlsFiles> | undefined;
  const ownCertificate = (): Promise<TlsFiles> => {
    certificate ??= loadOrCreateCertificate(dataDirectory);
    return certificate;
  };
  // Making a key takes most of a first start, but not this thread: the rest goes on beside it.
  if (settings.listeners.some(({ tls }) => tls !== undefined && tls.key === undefined))
    ownCertificate().catch(() => {}); // handled where it is awaited
  const platform = settings.listeners.some(({ profile }) => profile === "platform");
  const registry = platform ? await lazyRegistry.get() : undefined;
  const registeredDemo = registry && (await ensureDemo(registry));
  // A file that goes while its authority is asked for must not take it away from devices without a word [AUTH-11].
  let authorityAsked = false;
  const options = async (next: Settings): Promise<BrokerOptions> => {
    let authority: string | undefined;
    const made = await brokerOptions(next, {
      ownCertificate,
      deviceAuthority: async () => {
        authority = await readAuthority(dataDirectory, authorityAsked);
        return authority;
      },
      devices: registry,
      logger,
    });
    authorityAsked = authority !== undefined;
    return made;
  };
  const store = await openLevel(settings.durability, dataDirectory, logger);
  let broker: RunningBroker;
  try {
    broker = await createBroker({ ...(await options(settings)), store });
  } catch (error) {
    await store?.close();
    throw error;
  }

  const open = settings.listeners.map(({ url, profile, listener, tls }, i): OpenListener => {
    const self = tls !== undefined && tls.key === undefined;
    return {
      // The broker knows the port that was bound.
      url: listener.kind === "unix" ? url : broker.listeners[i].url,
      profile,
      ...(self ? { caFile: join(dataDirectory, CERTIFICATE_FILE) } : {}),
    };
  });
  const elsewhere = dataDirectory === resolve(DEFAULTS.data) ? undefined : dataDirectory;
  const head = `Millrace ${VERSION} listens on:\n\n${listenerLines(open)}\n${durabilityLine(settings.durability)}${ratesLine(settings.platform)}\n`;
  const demo = registeredDemo ? demoLines(open, registeredDemo.devices, elsewhere) : "";
  return { broker, store, options, greeting: head + demo };
}
