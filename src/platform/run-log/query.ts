// What is looked for in the run log, and whether an entry is that.
import type { DeviceId } from "../names/user-name.ts";
import { type BusinessType, LogCode, parseEntry, type RunLogEntry } from "./entry.ts";

export interface RunLogQuery {
  readonly device?: DeviceId;
  readonly productKey?: string;
  /** Code of the entry, 200 for success. */
  readonly code?: number;
  /** True: successes only; false: failures only. */
  readonly success?: boolean;
  readonly messageId?: string;
  readonly traceId?: string;
  readonly businessType?: BusinessType;
  /** Anywhere in operation or content, in any case. */
  readonly keyword?: string;
  /** ms since the epoch, both inclusive. */
  readonly since?: number;
  readonly until?: number;
  /** The newest so many. Default 1,000, at most 10,000. */
  readonly limit?: number;
}

const DEFAULT_FOUND = 1_000;
export const MAX_FOUND = 10_000;

export function limitOf({ limit = DEFAULT_FOUND }: RunLogQuery): number {
  if (Number.isNaN(limit)) return DEFAULT_FOUND;
  return Math.min(Math.max(1, Math.floor(limit)), MAX_FOUND);
}

export function matches(entry: RunLogEntry, query: RunLogQuery): boolean {
  const { device, productKey, code, success, messageId, traceId, businessType, since, until } = query;
  if (device !== undefined) {
    if (entry.productKey !== device.productKey || entry.deviceName !== device.deviceName) return false;
  }
  if (productKey !== undefined && entry.productKey !== productKey) return false;
  if (code !== undefined && entry.status !== code) return false;
  if (success !== undefined && success !== (entry.status === LogCode.success)) return false;
  if (messageId !== undefined && entry.messageId !== messageId) return false;
  if (traceId !== undefined && entry.traceId !== traceId) return false;
  if (businessType !== undefined && entry.businessType !== businessType) return false;
  if (since !== undefined && entry.time < since) return false;
  if (until !== undefined && entry.time > until) return false;
  return hasKeyword(entry, query.keyword);
}

function hasKeyword({ operation, content }: RunLogEntry, keyword: string | undefined): boolean {
  if (keyword === undefined || keyword === "") return true;
  return `${operation}\n${JSON.stringify(content)}`.toLowerCase().includes(keyword.toLowerCase());
}

/** The entry in a line where it is looked for. Lines that cannot be it are not parsed. */
export function matchLine(line: string, query: RunLogQuery): RunLogEntry | undefined {
  const { device, messageId, traceId } = query;
  if (device !== undefined && !line.includes(JSON.stringify(device.deviceName))) return undefined;
  if (messageId !== undefined && !line.includes(JSON.stringify(messageId))) return undefined;
  if (traceId !== undefined && !line.includes(JSON.stringify(traceId))) return undefined;
  const entry = parseEntry(line);
  return entry !== undefined && matches(entry, query) ? entry : undefined;
}
