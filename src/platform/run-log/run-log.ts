// The cloud run log [LOG-1]: takes what happens to devices, bounds it per device and second, keeps it in memory and on the
// disk, and finds it again. Knows nothing of MQTT: what an event means is said by device-log.ts and by services.
import { BoundedReader } from "../shared/bounded-reader.ts";
import type { MessageIds } from "../shared/message-ids.ts";
import type { PlatformSettings } from "../settings/settings.ts";
import { type DeviceId, keyOf } from "../names/user-name.ts";
import {
  contentText,
  LogCode,
  parseEntry,
  putEntry,
  type RunLogEntry,
  type RunLogNote,
  type RunLogWriter,
} from "./entry.ts";
import { fixed, LineBuffer } from "./line-buffer.ts";
import { limitOf, matches, matchLine, type RunLogQuery } from "./query.ts";
import { RunLogSegments, searchSegments } from "./segments.ts";
import { type Trail, Trails } from "./trails.ts";

/** How often entries are written to the disk, and budgets of devices begin anew. */
const TICK_MS = 1_000;
const DAY_MS = 86_400_000;
const TIME_ORIGIN = performance.timeOrigin;
const READER_BYTES = 4_194_304;
/** Bytes of waiting lines at which they are written without waiting for the tick. */
const GROUP_BYTES = 524_288;
const FIRST_ROOM = 16_384;
const LINE_FEED = fixed("\n");

export interface RunLogParts {
  readonly settings: PlatformSettings["runLog"];
  readonly ids: MessageIds;
  readonly logger: { warn(fields: object, message: string): void };
  /** Default: in memory only. */
  readonly directory?: string;
  readonly now?: () => number;
}

export class RunLog implements RunLogWriter {
  readonly enabled: boolean;
  readonly #parts: RunLogParts;
  readonly #trails: Trails;
  readonly #segments: RunLogSegments | undefined;
  readonly #now: () => number;
  /** Devices with entries left out in this tick, because their budget was used up. */
  #omitting: Trail[] = [];
  readonly #readers = new Set<BoundedReader<RunLogEntry>>();
  /** Lines that wait for the disk. Where the log is in memory only: the line being made. */
  #lines = new LineBuffer(FIRST_ROOM);
  #waiting = 0;
  #firstId = 0;
  /** A buffer whose lines have been written, for the next ones. */
  #spare: LineBuffer | undefined;
  #lastId = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: RunLogParts) {
    const { settings, directory, logger } = parts;
    this.#parts = parts;
    this.enabled = settings.enabled;
    this.#now = parts.now ?? Date.now;
    this.#trails = new Trails(settings.entriesPerDevice, settings.memoryBytes);
    if (directory !== undefined && settings.enabled)
      this.#segments = new RunLogSegments({
        directory,
        maxBytes: settings.diskBytes,
        maxDays: settings.days,
        failed: (error, entries) =>
          logger.warn({ err: error, entries, directory }, "entries of the run log were not written"),
      });
  }

  // ---- writing ----

  write(note: RunLogNote): void {
    if (!this.enabled) return;
    const trail = this.#trailOf(note.device);
    if (this.#admits(trail, note.businessType === "device behaviour")) this.#append(trail, note);
  }

  /** May the device have one more entry now? If not, it is counted as left out. For callers who ask before they make a note. */
  admits(device: DeviceId, behaviour = false): boolean {
    return this.enabled && this.#admits(this.#trailOf(device), behaviour);
  }

  #admits(trail: Trail, behaviour: boolean): boolean {
    const used = behaviour ? ++trail.behaviours : ++trail.entries;
    if (used <= this.#parts.settings.entriesPerSecond) return true;
    this.#omit(trail, 1);
    return false;
  }

  #omit(trail: Trail, count: number): void {
    if (trail.omitted === 0 && count > 0) this.#omitting.push(trail);
    trail.omitted += count;
  }

  /** Counts events that the caller did not write one by one. */
  omitted(device: DeviceId, count: number): void {
    if (this.enabled) this.#omit(this.#trailOf(device), count);
  }

  /** Notes that the device sends too often: one entry a second at most, however often this is called. */
  throttled(device: DeviceId): void {
    if (!this.enabled) return;
    const trail = this.#trailOf(device);
    if (trail.throttled) return;
    trail.throttled = true;
    const content = { Message: "the device sends more often than it may; what is beyond was dropped" };
    this.append({
      device,
      businessType: "device-to-cloud message",
      operation: "rate",
      status: LogCode.throttled,
      content,
    });
  }

  /** Writes without asking for the budget: the caller has called admits(). */
  append(note: RunLogNote): void {
    this.#append(this.#trailOf(note.device), note);
  }

  #append(trail: Trail, note: RunLogNote): void {
    const { status = LogCode.success, content, told } = note;
    const { time = this.#now(), messageId = this.#parts.ids.next(), traceId = messageId } = note;
    const id = Math.max(this.#lastId + 1, this.#microseconds());
    this.#lastId = id;
    const { businessType, operation } = note;
    const { productKey, deviceName } = trail.device;
    const lines = this.#lines;
    const from = lines.used;
    const head = { id, time, traceId, messageId, productKey, deviceName, businessType, operation, status };
    const text = told ?? (content === undefined ? "{}" : contentText(content));
    putEntry(lines, head, text, this.#parts.settings.maxEntryBytes);
    this.#trails.add(trail, lines.memory, from, lines.used);
    if (this.#readers.size > 0) {
      const shown = parseEntry(lines.textFrom(from));
      for (const reader of this.#readers) if (shown !== undefined) reader.offer(shown);
    }
    if (this.#segments === undefined) lines.cutTo(0);
    else {
      lines.put(LINE_FEED);
      if (this.#waiting++ === 0) this.#firstId = id;
      if (lines.used >= GROUP_BYTES) this.#flush();
    }
    this.#schedule();
  }

  /** From the clock, so that ids of the next process are greater. */
  #microseconds(): number {
    if (this.#parts.now !== undefined) return this.#parts.now() * 1_000;
    return Math.floor((TIME_ORIGIN + performance.now()) * 1_000);
  }

  #trailOf(device: DeviceId): Trail {
    this.#schedule();
    return this.#trails.budgetOf(keyOf(device), device);
  }

  #schedule(): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#tick();
    }, TICK_MS);
    this.#timer.unref();
  }

  #tick(): void {
    const omitting = this.#omitting;
    if (omitting.length > 0) this.#omitting = [];
    for (const trail of omitting) {
      const { device, omitted } = trail;
      const content = { Omitted: omitted };
      this.#append(trail, { device, businessType: "other", operation: "omitted", content });
    }
    this.#trails.nextTick();
    this.#flush();
  }

  #flush(): void {
    const lines = this.#lines;
    const entries = this.#waiting;
    if (entries === 0) return;
    this.#lines = this.#spare ?? new LineBuffer(FIRST_ROOM);
    this.#spare = undefined;
    this.#waiting = 0;
    // It logs failures itself and never rejects.
    void this.#segments?.append({ bytes: lines.bytes, entries, firstId: this.#firstId }).then(() => {
      lines.cutTo(0);
      this.#spare = lines;
    });
  }

  // ---- reading ----

  /** The newest entries that match, oldest first. */
  async search(query: RunLogQuery = {}): Promise<RunLogEntry[]> {
    const oldest = this.#now() - this.#parts.settings.days * DAY_MS;
    const bounded = { ...query, since: Math.max(query.since ?? 0, oldest) };
    const found = new Map<number, RunLogEntry>();
    if (this.#segments !== undefined) {
      this.#flush();
      await this.#segments.settled();
      const { directory = "" } = this.#parts;
      for (const entry of await searchSegments(directory, bounded)) found.set(entry.id, entry);
    }
    const { device } = query;
    // A device that has long been silent may have entries in memory whose file is deleted; all others are on the disk.
    const all = (): Iterable<string> => (this.#segments === undefined ? [...this.#trails.all()] : []);
    for (const line of device === undefined ? all() : this.#trails.of(keyOf(device))) {
      const entry = matchLine(line, bounded);
      if (entry !== undefined) found.set(entry.id, entry);
    }
    return [...found.values()].sort((a, b) => a.id - b.id).slice(-limitOf(query));
  }

  /** Entries from now on. A reader that is slow loses its oldest ones, which `lost` counts. */
  follow(query: RunLogQuery = {}): BoundedReader<RunLogEntry> {
    const reader: BoundedReader<RunLogEntry> = new BoundedReader({
      maxBytes: READER_BYTES,
      accepts: (entry) => matches(entry, query),
      cost: () => 1_024,
      lost: (count) => this.#parts.logger.warn({ count }, "a reader of the run log is slow and lost entries"),
      ended: () => this.#readers.delete(reader),
    });
    this.#readers.add(reader);
    return reader;
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#tick();
    for (const reader of [...this.#readers]) reader.close();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#segments?.close();
  }
}
