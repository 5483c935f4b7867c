// New options for a running broker: what can be taken over without dropping a client, and what needs a restart.
import type { BrokerListener, BrokerOptions } from "./options.ts";
import type { Profiles } from "./profiles.ts";
import type { Listener } from "./transport/streams/stream.ts";

/** Option names by what became of them. */
export interface Reloaded {
  readonly applied: string[];
  readonly unchanged: string[];
  readonly restart: string[];
}

/** An open listener and the options it was opened with. */
export interface OpenListener {
  readonly listener: Listener;
  readonly options: BrokerListener;
}

/** Applies `next` to what was made of `current`. `listeners` gets the options that are now in force. */
export async function reloadOptions(
  next: Partial<BrokerOptions>,
  current: BrokerOptions,
  profiles: Profiles,
  listeners: OpenListener[],
): Promise<Reloaded> {
  const result: Reloaded = { applied: [], unchanged: [], restart: [] };
  for (const key of Object.keys(next) as (keyof BrokerOptions)[]) {
    if (key === "logger" || key === "devices" || key === "store") continue;
    if (key === "passwordFile" || key === "aclFile") {
      await reloadFile(key, next[key], current, profiles, result);
    } else if (key === "listeners") reloadListeners(next.listeners ?? [], listeners, result);
    else if (same(next[key], current[key])) result.unchanged.push(key);
    else result.restart.push(key);
  }
  return result;
}

async function reloadFile(
  key: "passwordFile" | "aclFile",
  path: string | undefined,
  current: BrokerOptions,
  profiles: Profiles,
  { applied, restart }: Reloaded,
): Promise<void> {
  if (path !== current[key] || path === undefined) {
    if (path !== current[key]) restart.push(key);
    return;
  }
  await profiles.reload(key, path);
  applied.push(key);
}

function reloadListeners(
  next: readonly BrokerListener[],
  listeners: OpenListener[],
  { applied, unchanged, restart }: Reloaded,
): void {
  for (const [i, { listener, options }] of listeners.entries()) {
    const wanted = next[i];
    const name = `listeners[${i}]`;
    if (wanted === undefined || !same(withoutTls(wanted), withoutTls(options))) restart.push(name);
    else if (wanted.tls === undefined || same(wanted.tls, options.tls)) unchanged.push(name);
    else {
      listener.reloadTls({ clientCertificate: "none", ...wanted.tls });
      listeners[i] = { listener, options: wanted };
      applied.push(`${name}.tls`);
    }
  }
  if (next.length > listeners.length) restart.push("listeners");
}

function withoutTls(listener: BrokerListener): object {
  const { tls, ...rest } = listener;
  if (tls === undefined) return rest;
  const { key: _key, cert: _cert, ca: _ca, clientCertificate: _asked, ...options } = tls;
  return { ...rest, tls: options };
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}
