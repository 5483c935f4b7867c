// The entry of a call of the server's side, written when it has ended: its name, what it was given and what became of it, under
// the trace id that everything it causes has as well [LOG-1].
import { OperationError } from "../../errors.ts";
import type { MessageIds } from "../shared/message-ids.ts";
import type { Called } from "../contract/service.ts";
import type { DeviceLog } from "./device-log.ts";
import { LogCode } from "./entry.ts";

/** Of what a call resolves to. */
const TOLD = ["code", "pushed", "requestId", "version", "versions"] as const;

export function calledBy(log: Pick<DeviceLog, "call">, ids: MessageIds): Called {
  return async (device, name, Params, work) => {
    const traceId = ids.next();
    try {
      const result = await work(traceId);
      const { status, ...content } = describe(result);
      log.call(device, name, traceId, status, { ...content, Params });
      return result;
    } catch (error) {
      const Message = error instanceof Error ? error.message : String(error);
      log.call(device, name, traceId, codeOf(error), { Message, Params });
      throw error;
    }
  };
}

function describe(result: unknown): {
  status: number;
  Message?: string;
  ResultData?: Record<string, unknown>;
} {
  if (typeof result === "string") return { status: LogCode.success, ResultData: { pushed: result } };
  if (typeof result !== "object" || result === null) return { status: LogCode.success };
  const { ok, code, message } = result as { ok?: unknown; code?: unknown; message?: unknown };
  if (ok === false && typeof code === "number") return { status: code, Message: String(message) };
  const told = TOLD.filter((name) => name in result);
  const pairs = told.map((name) => [name, (result as { [name: string]: unknown })[name]]);
  return { status: LogCode.success, ResultData: Object.fromEntries(pairs) };
}

function codeOf(error: unknown): number {
  if (!(error instanceof OperationError)) return LogCode.requestFailed;
  if (error.code === "RATE_LIMIT") return LogCode.throttled;
  return error.code.startsWith("THING_") ? LogCode.parameter : LogCode.requestFailed;
}
