// How the commands reach the registry of a data directory: through the running broker there, so that a change holds at once
// for the devices that are online, and otherwise by opening it.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ConfigError, OperationError } from "../../errors.ts";
import { openRegistry, type Registry } from "../../platform/registry/index.ts";
import { ControlConnection, Refusal } from "../control/control-client.ts";
import { DEFAULTS } from "../config/defaults.ts";
import { holdDirectory, STANDARD_ERROR } from "../data/offline.ts";
import type { JsonObject } from "../control/control-protocol.ts";
import { HELLO, RegistryCalls } from "./registry-calls.ts";

export interface RegistryPort {
  /** One of the calls of registry-calls.ts. The caller knows what it answers. */
  call<T>(name: string, given?: JsonObject): Promise<T>;
}

export interface RegistryUse {
  readonly data: string | undefined;
  /** What others are told of who holds the directory. */
  readonly command: "product" | "device";
  /** The directory is made where it is missing. */
  readonly creates?: boolean;
}

/** ms another command that has the directory is waited for. */
const PATIENCE_MS = 10_000;
const POLL_MS = 100;
/** ms for an answer of the broker; deleting a product with many devices takes its time. */
const ANSWER_MS = 600_000;

export async function useRegistry<T>(
  { data, command, creates = false }: RegistryUse,
  work: (port: RegistryPort) => Promise<T>,
): Promise<T> {
  const directory = resolve(data ?? DEFAULTS.data);
  if (!creates && !existsSync(directory)) {
    const message = `there is no data directory ${directory}: name the right one with --data`;
    throw new OperationError("DATA_DIRECTORY_MISSING", message);
  }
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    let begun = false;
    const started = (port: RegistryPort): Promise<T> => {
      begun = true;
      return work(port);
    };
    try {
      return await holdDirectory(directory, command, () => alone(directory, started));
    } catch (error) {
      if (begun || !isInUse(error)) throw error;
    }
    try {
      return await withBroker(directory, started);
    } catch (error) {
      // Another command has it, or a broker that has just ended.
      if (begun || !mayPass(error) || Date.now() > until) throw error;
      await delay(POLL_MS);
    }
  }
}

function isInUse(error: unknown): boolean {
  return error instanceof OperationError && error.code === "DATA_DIRECTORY_IN_USE";
}

/** Of an answer to HELLO: a command's refusal, or nobody is there any more. */
function mayPass(error: unknown): boolean {
  if (!(error instanceof OperationError)) return false;
  return (
    error.code === "CONTROL_NO_BROKER" ||
    error.code === "CONTROL_NO_ANSWER" ||
    (error.cause instanceof Refusal && error.cause.code === "DATA_DIRECTORY_IN_USE")
  );
}

async function alone<T>(directory: string, work: (port: RegistryPort) => Promise<T>): Promise<T> {
  let registry: Registry | undefined;
  const calls = new RegistryCalls(async () => {
    registry ??= await openRegistry(directory, STANDARD_ERROR);
    return registry;
  });
  try {
    return await work({ call: (name, given = {}) => calls.call(name, given) as Promise<never> });
  } finally {
    await calls.close();
    await registry?.close();
  }
}

async function withBroker<T>(directory: string, work: (port: RegistryPort) => Promise<T>): Promise<T> {
  const connection = new ControlConnection(directory);
  const call = async (name: string, given: JsonObject = {}): Promise<never> => {
    try {
      const unsure = "whether it was done is not known";
      return (await connection.ask({ operation: "registry", call: name, given }, unsure, ANSWER_MS)) as never;
    } catch (error) {
      throw asOffline(error);
    }
  };
  try {
    await call(HELLO);
    return await work({ call });
  } finally {
    connection.close();
  }
}

/** A field that is wrong is told, and ends, as without a broker. */
function asOffline(error: unknown): unknown {
  if (!(error instanceof OperationError) || !(error.cause instanceof Refusal)) return error;
  const { code, message } = error.cause;
  if (code !== "REGISTRY_ENTRY") return error;
  return new ConfigError("REGISTRY_ENTRY", message.split(":")[0], message);
}
