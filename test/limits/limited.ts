// A broker of its own for each case of a limit, and the one question every case asks in the end: has it been counted?
import { expect } from "vitest";
import { LIMITS, type LimitName, type LimitOverrides } from "../../src/limits.ts";
import { eventually, TestServer, type ServerOptions } from "../support/server.ts";

export interface Limited extends TestServer {
  /** The metric of the row has this value, now or soon. */
  counted(name: LimitName, times: number): Promise<void>;
}

export async function limited(
  limits: LimitOverrides,
  use: (server: Limited) => Promise<void>,
  options: ServerOptions = {},
): Promise<void> {
  const server = Object.assign(new TestServer({ sysInterval: 0, ...options, limits }), {
    async counted(name: LimitName, times: number): Promise<void> {
      const { metric } = LIMITS[name];
      const value = (): number => server.broker.metrics()[metric] ?? 0;
      if (times > 0) await eventually(() => value() >= times, `${metric} is ${times}, not ${value()}`);
      expect(value(), metric).toBe(times);
    },
  });
  await server.start();
  try {
    await use(server);
  } finally {
    await server.stop();
  }
}

/** One below the limit, at it, one beyond. */
export const AROUND = [-1, 0, 1] as const;

/** ms that pass until `event` settles. */
export async function timeOf(event: Promise<unknown>): Promise<number> {
  const start = performance.now();
  await event;
  return performance.now() - start;
}
