// `millrace rrpc`, `shadow`, `upstream` and `log`: through the running broker; shadows and the log where there is none, too.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { isUtf8 } from "node:buffer";
import { messageOf } from "../../access/atomic-file.ts";
import { OperationError } from "../../errors.ts";
import { openRegistry } from "../../platform/registry/index.ts";
import type { RunLogEntry } from "../../platform/run-log/entry.ts";
import { searchSegments } from "../../platform/run-log/segments.ts";
import { Shadows, type ShadowUpdate } from "../../platform/services/shadow/shadow.ts";
import { DEFAULT_SETTINGS } from "../../platform/settings/settings.ts";
import { ControlConnection } from "../control/control-client.ts";
import { followThroughControl } from "../control/control-stream.ts";
import { DEFAULTS, RUN_LOG_DIRECTORY } from "../config/defaults.ts";
import { holdDirectory, STANDARD_ERROR } from "../data/offline.ts";
import type {
  LogArguments,
  RrpcArguments,
  ShadowArguments,
  UpstreamArguments,
} from "../arguments/platform-arguments.ts";
import type { JsonObject } from "../control/control-protocol.ts";
import { knownDevice, type RrpcAnswer, shadowCall } from "../control/platform-calls.ts";
import { printable } from "../registry/printable.ts";
import { type Output, printArray, printDocument, standardOutput } from "../registry/registry-output.ts";

/** ms for an answer of the broker beside what the call itself may take. */
const ANSWER_MS = 10_000;
/** The longest a call may wait, `platform.rrpc.maxTimeoutMs` at its most. */
const LONGEST_CALL_MS = 3_600_000;
const DAY_MS = 86_400_000;

const NOT_ANSWERED = {
  TIMEOUT: "the device did not answer in time",
  OFFLINE: "the device is offline",
  HALFCONN: "the device's connection is broken",
} as const;

const GIVE_VERSION =
  ': "version" is a number above the one that millrace shadow get shows, or -1 to begin anew';
const SHADOW_REMEDIES: { readonly [code: number]: string } = {
  402: ': "state" holds "desired", an object, or "null" to clear it',
  403: GIVE_VERSION,
  406: ': "method" is "update"',
  409: GIVE_VERSION,
};

/** Prints the answer's bytes. */
export async function runRrpc(
  { device, payload, topic, timeoutMs, json, data }: RrpcArguments,
  output: (bytes: string | Uint8Array) => Promise<void> = standardOutput,
): Promise<void> {
  const given = { ...device, payload: Buffer.from(payload).toString("base64"), topic, timeoutMs };
  const answer = (await ask(dataDirectory(data), "rrpc", given, LONGEST_CALL_MS)) as RrpcAnswer;
  const { code, messageId } = answer;
  const bytes = Buffer.from(answer.payload ?? "", "base64");
  if (json) {
    const shown = isUtf8(bytes) ? { payload: bytes.toString() } : { payloadBase64: answer.payload };
    await output(`${JSON.stringify({ code, messageId, ...(code === "SUCCESS" && shown) }, null, 2)}\n`);
  } else if (code === "SUCCESS") await output(bytes);
  if (code !== "SUCCESS") throw new OperationError("RRPC_NO_ANSWER", `${code}: ${NOT_ANSWERED[code]}`);
}

export async function runShadow(
  { device, message, data }: ShadowArguments,
  output: Output = standardOutput,
): Promise<void> {
  const name = message === undefined ? "shadow.get" : "shadow.update";
  const result = await shadowAnswer(dataDirectory(data), name, { ...device, message });
  if (message === undefined) {
    if (result === null)
      throw new OperationError(
        "SHADOW_MISSING",
        `device ${device.deviceName} has no shadow yet: it or millrace shadow update makes one`,
      );
    await printDocument(result as object, output);
    return;
  }
  const update = result as ShadowUpdate;
  if (!update.ok) {
    const remedy = SHADOW_REMEDIES[update.code] ?? "";
    throw new OperationError("SHADOW_REFUSED", `${update.code}: ${update.message}${remedy}`);
  }
  await printDocument({ version: update.version, pushed: update.pushed }, output);
}

async function shadowAnswer(
  directory: string,
  name: "shadow.get" | "shadow.update",
  given: JsonObject,
): Promise<unknown> {
  try {
    return await ask(directory, name, given, ANSWER_MS);
  } catch (error) {
    if (!isNobody(error)) throw error;
  }
  return holdDirectory(directory, "shadow", async () => {
    const registry = await openRegistry(directory, STANDARD_ERROR);
    try {
      const shadows = new Shadows({
        devices: { push: async () => "offline" },
        documents: registry.documents,
        settings: DEFAULT_SETTINGS.shadow,
      });
      return await shadowCall(shadows, name, knownDevice(registry, given), given);
    } finally {
      await registry.close();
    }
  });
}

/** A line of JSON for each message, as it comes. */
export async function runUpstream(
  { productKey, count = Number.POSITIVE_INFINITY, data }: UpstreamArguments,
  output: Output = standardOutput,
): Promise<void> {
  let left = count;
  for await (const line of followThroughControl(dataDirectory(data), "upstream", { productKey })) {
    await output(`${String(line)}\n`);
    if (--left === 0) return;
  }
  throw stopped();
}

export async function runLog(
  { query, follow, json, data }: LogArguments,
  output: Output = standardOutput,
): Promise<void> {
  const entries = entriesOf(dataDirectory(data), query, follow);
  if (json && !follow) {
    await printArray(single(entries), output);
    return;
  }
  for await (const entry of entries)
    await output(json ? `${JSON.stringify(entry)}\n` : `${logLine(entry)}\n`);
  if (follow) throw stopped();
}

/** A feed without end has ended. */
function stopped(): OperationError {
  return new OperationError("CONTROL_NO_ANSWER", "the broker was stopped: start it, and follow it again");
}

/** Of the broker, or of its files where none runs. */
async function* entriesOf(
  directory: string,
  query: LogArguments["query"],
  follow: boolean,
): AsyncGenerator<RunLogEntry> {
  try {
    for await (const entry of followThroughControl(directory, "log", { query, follow }))
      yield entry as RunLogEntry;
    return;
  } catch (error) {
    if (follow || !isNobody(error)) throw error;
  }
  const since = Math.max(query.since ?? 0, Date.now() - DEFAULT_SETTINGS.runLog.days * DAY_MS);
  let found: RunLogEntry[];
  try {
    found = await searchSegments(join(directory, RUN_LOG_DIRECTORY), { ...query, since });
  } catch (cause) {
    const message = `the run log of data directory ${directory} cannot be read: ${messageOf(cause)}`;
    throw new OperationError("DATA_DIRECTORY_UNUSABLE", message, { cause });
  }
  yield* found.reverse();
}

async function* single<T>(items: AsyncIterable<T>): AsyncGenerator<readonly T[]> {
  for await (const item of items) yield [item];
}

function logLine(entry: RunLogEntry): string {
  const { time, productKey, deviceName, businessType, operation, status, content, messageId } = entry;
  const { Message, ...rest } = content;
  const details = Object.keys(rest).length === 0 ? [] : [JSON.stringify(rest)];
  const words = [...(Message === undefined ? [] : [Message]), ...details].join("  ");
  const head = `${new Date(time).toISOString()}  ${productKey}/${deviceName}  ${status}`;
  const line = `${head}  ${businessType}: ${operation}  ${words}  [${messageId}]`;
  return printable(line.replace(/[\r\n]+/g, " "));
}

export function dataDirectory(data: string | undefined): string {
  const directory = resolve(data ?? DEFAULTS.data);
  if (existsSync(directory)) return directory;
  const message = `there is no data directory ${directory}: name the right one with --data`;
  throw new OperationError("DATA_DIRECTORY_MISSING", message);
}

export async function ask(
  directory: string,
  call: string,
  given: object,
  timeoutMs: number,
): Promise<unknown> {
  const connection = new ControlConnection(directory);
  try {
    const unsure = "whether it was done is not known";
    return await connection.ask({ operation: "platform", call, given }, unsure, timeoutMs);
  } finally {
    connection.close();
  }
}

function isNobody(error: unknown): boolean {
  return error instanceof OperationError && error.code === "CONTROL_NO_BROKER";
}
