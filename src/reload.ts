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

/** What was found, and how to take over what can be. */
interface Plan extends Reloaded {
  readonly steps: (() => void)[];
}

/**
 * Applies `next` to what was made of `current`: everything is read and checked first, so that all of it is taken over or nothing.
 * `listeners` gets the options that are now in force.
 */
export async function reloadOptions(
  next: Partial<BrokerOptions>,
  current: BrokerOptions,
  profiles: Profiles,
  listeners: OpenListener[],
): Promise<Reloaded> {
  const plan: Plan = { applied: [], unchanged: [], restart: [], steps: [] };
  for (const key of Object.keys(next) as (keyof BrokerOptions)[]) {
    if (key === "logger" || key === "devices" || key === "store") continue;
    if (key === "passwordFile" || key === "aclFile") {
      await planFile(key, next[key], current, profiles, plan);
    } else if (key === "listeners") planListeners(next.listeners ?? [], listeners, plan);
    else if (same(next[key], current[key])) plan.unchanged.push(key);
    else plan.restart.push(key);
  }
  const { steps, ...result } = plan;
  for (const step of steps) step();
  return result;
}

async function planFile(
  key: "passwordFile" | "aclFile",
  path: string | undefined,
  current: BrokerOptions,
  profiles: Profiles,
  { applied, restart, steps }: Plan,
): Promise<void> {
  if (path !== current[key] || path === undefined) {
    if (path !== current[key]) restart.push(key);
    return;
  }
  steps.push(await profiles.prepare(key, path));
  applied.push(key);
}

function planListeners(
  next: readonly BrokerListener[],
  listeners: OpenListener[],
  { applied, unchanged, restart, steps }: Plan,
): void {
  for (const [i, { listener, options }] of listeners.entries()) {
    const wanted = next[i];
    const name = `listeners[${i}]`;
    if (wanted === undefined || !same(withoutTls(wanted), withoutTls(options))) restart.push(name);
    else if (wanted.tls === undefined || same(wanted.tls, options.tls)) unchanged.push(name);
    else {
      const take = listener.prepareTls({ clientCertificate: "none", ...wanted.tls });
      steps.push(() => {
        take();
        listeners[i] = { listener, options: wanted };
      });
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
