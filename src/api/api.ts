// What the HTTP listener serves: composition of routes and listener. Loaded only where a listener of this kind is opened.
import type { SignIn } from "../platform/sign-in/sign-in.ts";
import type { Listener, TransportObserver } from "../transport/streams/stream.ts";
import { deviceAuthRoutes } from "./device-auth.ts";
import { type HttpLimits, type HttpOptions, listenHttp } from "./http-listener.ts";
import { Router } from "./router.ts";

export interface ApiParts {
  readonly listener: HttpOptions;
  readonly limits: HttpLimits;
  readonly observer: TransportObserver;
  readonly signIn: SignIn;
  readonly mqttPort: () => number | undefined;
  /** Told of what a handler throws. */
  readonly failed: (error: unknown) => void;
}

export function openApi(parts: ApiParts): Promise<Listener> {
  const { listener, limits, observer, signIn, mqttPort, failed } = parts;
  const router = new Router();
  deviceAuthRoutes(router, {
    registrar: signIn.registrar,
    signIn: signIn.preAuth,
    attempts: signIn.attempts,
    barred: (address) => observer.refused("attempts", `${address}: too many failed attempts`),
    mqttPort,
  });
  return listenHttp(listener, limits, observer, router, failed);
}
