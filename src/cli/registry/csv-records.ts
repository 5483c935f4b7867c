// Records of a CSV text (RFC 4180), chunk by chunk: quoted fields with commas, quotes and line breaks, LF or CRLF, a byte
// order mark. Each record has the number of the line it begins on. Bounded: one record, of a bounded length.

export interface CsvRecord {
  readonly line: number;
  readonly fields: readonly string[];
  /** What is wrong with its form. */
  readonly defect?: string;
}

/** Characters of a record: a quote that is never closed must not swallow the file. */
export const MAX_RECORD = 65_536;

export class CsvReader {
  #rest = "";
  /** Number of the line `#rest` begins on. */
  #line = 1;
  /** The rest of a line that was given up is passed over. */
  #skipping = false;

  /** The records that end in `text`. Blank lines are none. */
  push(text: string): CsvRecord[] {
    const records: CsvRecord[] = [];
    this.#rest += text;
    if (this.#skipping && !this.#skip()) return records;
    let at = 0;
    for (;;) {
      const end = this.#endOf(at);
      if (end < 0) break;
      this.#take(this.#rest.slice(at, end), records);
      at = end + 1;
    }
    this.#rest = this.#rest.slice(at);
    if (this.#rest.length > MAX_RECORD) this.#giveUp(records);
    return records;
  }

  /** The last record, where no line feed ends it. */
  end(): CsvRecord[] {
    const records: CsvRecord[] = [];
    if (this.#skipping) return records;
    // Where a quote was never closed the lines are taken one by one.
    for (const line of this.#rest.split("\n")) this.#take(line, records);
    this.#rest = "";
    return records;
  }

  /** True: the line has ended. */
  #skip(): boolean {
    const feed = this.#rest.indexOf("\n");
    this.#rest = feed < 0 ? "" : this.#rest.slice(feed + 1);
    if (feed < 0) return false;
    this.#line++;
    this.#skipping = false;
    return true;
  }

  /** Index of the line feed that ends the record at `at`; -1: it is not here yet. */
  #endOf(at: number): number {
    const feed = this.#rest.indexOf("\n", at);
    if (feed < 0) return -1;
    const quote = this.#rest.indexOf('"', at);
    if (quote < 0 || quote > feed) return feed;
    // A line feed between quotes is part of a field. Two quotes inside one are two steps, out and in again.
    let quoted = false;
    const most = Math.min(this.#rest.length, at + MAX_RECORD);
    for (let i = at; i < most; i++) {
      const code = this.#rest.charCodeAt(i);
      if (code === 34) quoted = !quoted;
      else if (code === 10 && !quoted) return i;
    }
    // Never closed: the line is taken as it stands, and is bad.
    return most < this.#rest.length ? feed : -1;
  }

  #take(text: string, records: CsvRecord[]): void {
    const line = this.#line;
    this.#line++;
    for (let feed = text.indexOf("\n"); feed >= 0; feed = text.indexOf("\n", feed + 1)) this.#line++;
    const record = text.endsWith("\r") ? text.slice(0, -1) : text;
    if (record.trim() === "") return;
    if (record.length > MAX_RECORD) {
      records.push({ line, fields: [], defect: `has more than ${MAX_RECORD} characters` });
      return;
    }
    records.push(record.includes('"') ? parseQuoted(line, record) : { line, fields: record.split(",") });
  }

  #giveUp(records: CsvRecord[]): void {
    records.push({ line: this.#line, fields: [], defect: `has more than ${MAX_RECORD} characters` });
    this.#skipping = true;
    this.#skip();
  }
}

function parseQuoted(line: number, text: string): CsvRecord {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] !== '"') {
      const comma = text.indexOf(",", at);
      const field = text.slice(at, comma < 0 ? undefined : comma);
      if (field.includes('"'))
        return { line, fields, defect: `a quote stands inside a field: put the whole field in quotes` };
      fields.push(field);
      if (comma < 0) return { line, fields };
      at = comma + 1;
      continue;
    }
    let field = "";
    let from = at + 1;
    for (;;) {
      const quote = text.indexOf('"', from);
      if (quote < 0) return { line, fields, defect: "a quoted field does not end" };
      field += text.slice(from, quote);
      if (text[quote + 1] !== '"') {
        at = quote + 1;
        break;
      }
      field += '"';
      from = quote + 2;
    }
    fields.push(field);
    if (at === text.length) return { line, fields };
    if (text[at] !== ",") return { line, fields, defect: "something follows the closing quote of a field" };
    at++;
  }
}
