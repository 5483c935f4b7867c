// The listeners of a broker: opens them, MQTT's and HTTP's, with the policy of their profile, and hands over the streams that
// come. What becomes of a stream is the broker's.
import type { Policy } from "./access/policy.ts";
import type { Context } from "./handlers/context/context.ts";
import type { BrokerListener, BrokerOptions } from "./options.ts";
import type { Profiles } from "./profiles.ts";
import type { OpenListener } from "./reload.ts";
import { listen } from "./transport/listen.ts";
import type {
  ByteStream,
  Listener,
  ListenerOptions,
  TransportLimits,
  TransportObserver,
} from "./transport/streams/stream.ts";

export class Listeners {
  readonly open: OpenListener[] = [];
  readonly #options: BrokerOptions;
  readonly #context: Context;
  readonly #profiles: Profiles;
  readonly #accept: (stream: ByteStream, policy: Policy) => void;

  constructor(
    options: BrokerOptions,
    context: Context,
    profiles: Profiles,
    accept: (stream: ByteStream, policy: Policy) => void,
  ) {
    this.#options = options;
    this.#context = context;
    this.#profiles = profiles;
    this.#accept = accept;
  }

  /** Opens one more listener. */
  async listen(options: BrokerListener): Promise<Listener> {
    if (options.kind === "http" || options.kind === "https") return this.#listenHttp(options, options.kind);
    const policy = this.policyOf(options);
    const { profile: _profile, anonymous: _anonymous, psk, ...rest } = options;
    const pskOf =
      psk &&
      (await import("./platform/sign-in/psk.ts")).pskOfDevices(this.#profiles.neededPlatform.signIn.registry);
    const tls = rest.tls && pskOf ? { ...rest.tls, pskOf } : rest.tls;
    const listenerOptions: ListenerOptions = { ...rest, tls, kind: options.kind ?? "tcp" };
    const listener = await listen(
      listenerOptions,
      this.#transportLimits(),
      this.#observer(listenerOptions),
      (stream) => this.#accept(stream, policy),
    );
    this.open.push({ listener, options });
    return listener;
  }

  /** Loaded only where it is used. */
  async #listenHttp(options: BrokerListener, kind: "http" | "https"): Promise<Listener> {
    const platform = this.#profiles.neededPlatform;
    const { openApi } = await import("./api/api.ts");
    const { host, port, tls } = options;
    const listener = await openApi({
      listener: { kind, host, port, tls },
      limits: { ...this.#transportLimits(), maxBodyBytes: platform.maxBodyBytes },
      observer: this.#observer(options),
      signIn: platform.signIn,
      mqttPort: () => this.#mqttPort(),
      failed: (error) => this.#context.logger.error({ err: error }, "an HTTP request failed"),
    });
    this.open.push({ listener, options });
    return listener;
  }

  /** Where a device may speak MQTT: the port that takes most first. */
  #mqttPort(): number | undefined {
    for (const wanted of ["auto", "tls", "tcp"]) {
      const found = this.open.find(
        ({ options }) =>
          (options.kind ?? "tcp") === wanted && (options.profile ?? this.#options.profile) === "platform",
      );
      if (found !== undefined) return found.listener.port;
    }
    return undefined;
  }

  /** The policy of a listener; sessions that waited for its profile are served from now on. */
  policyOf(options: BrokerListener): Policy {
    const policy = this.#profiles.policy(options);
    const { router, sessions } = this.#context;
    if (sessions.unserved.size > 0) router.whenFree(() => sessions.serve(policy.namespace));
    return policy;
  }

  #transportLimits(): TransportLimits {
    const { limits } = this.#context;
    return {
      webSocketMaxPayload: limits.webSocketMaxPayload,
      handshakeTimeoutMs: limits.handshakeTimeout,
      maxHandshakes: limits.maxHandshakes,
      maxHandshakesPerAddress: limits.maxHandshakesPerAddress,
      maxConnections: limits.maxConnections,
      maxConnectionRate: limits.maxConnectionRate,
    };
  }

  #observer(options: Pick<BrokerListener, "kind" | "port">): TransportObserver {
    return {
      refused: (reason, info) => {
        const metric = `refused.${reason}`;
        this.#context.metrics.limit(metric);
        this.#context.notices.info(
          metric,
          { listener: options.kind, port: options.port, reason, info },
          "connection refused",
        );
      },
    };
  }
}
