// Rows of triples out of a file: CSV with a header line, or JSON lines with the same names, told apart by the first
// character. Streaming; what is wrong with a row's form is a bad row, what is wrong with the whole ends the import.
import { OperationError } from "../../errors.ts";
import type { BadRow, ImportRow } from "../../platform/registry/index.ts";
import { CsvReader, type CsvRecord } from "./csv-records.ts";

/** Of the header line, also of an export. */
export const COLUMNS = ["productKey", "deviceName", "deviceSecret", "productSecret", "nickname"] as const;
type Column = (typeof COLUMNS)[number];
const NEEDED: readonly Column[] = ["productKey", "deviceName", "deviceSecret"];

export interface RowBatch {
  readonly rows: readonly ImportRow[];
  readonly bad: readonly BadRow[];
}

/** `name`: of the file, for errors. */
export async function* readRows(input: AsyncIterable<Buffer>, name: string): AsyncGenerator<RowBatch> {
  const decoder = new TextDecoder("utf-8", { fatal: true }); // takes a byte order mark away
  let parser: Parser | undefined;
  let head = "";
  let end = false;
  const take = (text: string): RowBatch | undefined => {
    if (parser === undefined) {
      head += text;
      const first = head.trimStart()[0];
      if (first === undefined && !end) return undefined;
      parser = first === "{" || first === "[" ? new JsonRows() : new CsvRows(name);
      text = head;
    }
    return parser.take(text, end);
  };
  const decode = (chunk: Buffer | undefined): string => {
    try {
      return decoder.decode(chunk, { stream: chunk !== undefined });
    } catch (cause) {
      const message = `${name}: is not UTF-8 text: save it as UTF-8; nothing was imported`;
      throw new OperationError("IMPORT_FORM", message, { cause });
    }
  };
  for await (const chunk of input) {
    const batch = take(decode(chunk));
    if (batch !== undefined) yield batch;
  }
  end = true;
  const batch = take(decode(undefined));
  if (batch !== undefined) yield batch;
}

interface Parser {
  take(text: string, end: boolean): RowBatch;
}

class CsvRows implements Parser {
  readonly #name: string;
  readonly #reader = new CsvReader();
  #columns: readonly Column[] | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  take(text: string, end: boolean): RowBatch {
    const records = this.#reader.push(text);
    if (end) records.push(...this.#reader.end());
    const rows: ImportRow[] = [];
    const bad: BadRow[] = [];
    for (const record of records) {
      if (this.#columns === undefined) this.#columns = this.#header(record);
      else {
        const row = this.#row(record, this.#columns);
        if (typeof row === "string") bad.push({ line: record.line, message: row });
        else rows.push(row);
      }
    }
    if (end && this.#columns === undefined) throw this.#noHeader("it is empty");
    return { rows, bad };
  }

  /** Names in any case and order, as other programs write them. */
  #header({ fields, defect }: CsvRecord): readonly Column[] {
    if (defect !== undefined) throw this.#noHeader(defect);
    const columns = fields.map((field) => {
      const asked = field.trim().toLowerCase();
      const column = COLUMNS.find((known) => known.toLowerCase() === asked);
      if (column === undefined) throw this.#noHeader(`"${field.trim().slice(0, 40)}" is no column`);
      return column;
    });
    const missing = NEEDED.find((column) => !columns.includes(column));
    if (missing !== undefined) throw this.#noHeader(`${missing} is missing`);
    if (new Set(columns).size < columns.length) throw this.#noHeader("a column stands twice");
    return columns;
  }

  #noHeader(why: string): OperationError {
    const message = `${this.#name}: the first line names the columns, ${NEEDED.join(",")}[,productSecret,nickname]: ${why}`;
    return new OperationError("IMPORT_FORM", message);
  }

  #row({ line, fields, defect }: CsvRecord, columns: readonly Column[]): ImportRow | string {
    if (defect !== undefined) return defect;
    if (fields.length !== columns.length)
      return `has ${fields.length} fields, the header has ${columns.length}`;
    const value = (column: Column): string => {
      const at = columns.indexOf(column);
      return at < 0 ? "" : fields[at];
    };
    return rowOf(line, value);
  }
}

/** Characters of a line. */
const MAX_LINE = 65_536;

/** One object a line; also as `export --json` prints them, in an array with one object a line. */
class JsonRows implements Parser {
  #rest = "";
  #line = 1;

  take(text: string, end: boolean): RowBatch {
    const rows: ImportRow[] = [];
    const bad: BadRow[] = [];
    const lines = (this.#rest + text).split("\n");
    this.#rest = end ? "" : (lines.pop() ?? "");
    // Of a line that is too long already only its length matters.
    if (this.#rest.length > MAX_LINE) this.#rest = this.#rest.slice(0, MAX_LINE + 1);
    for (const given of lines) {
      const line = this.#line++;
      if (given.length > MAX_LINE) {
        bad.push({ line, message: `has more than ${MAX_LINE} characters` });
        continue;
      }
      const content = given.trim().replace(/,$/, "");
      if (content === "" || content === "[" || content === "]") continue;
      const row = jsonRow(line, content);
      if (typeof row === "string") bad.push({ line, message: row });
      else rows.push(row);
    }
    return { rows, bad };
  }
}

function jsonRow(line: number, text: string): ImportRow | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "is no JSON object";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "is no JSON object";
  const fields = new Map(Object.entries(value));
  for (const [name, field] of fields) {
    if (!(COLUMNS as readonly string[]).includes(name)) return `${name.slice(0, 40)}: there is no such field`;
    if (typeof field !== "string") return `${name}: is not a text`;
  }
  for (const name of NEEDED) if (!fields.has(name)) return `${name}: is missing`;
  const field = (name: Column): string => (fields.get(name) as string | undefined) ?? "";
  return rowOf(line, field);
}

/** `field` gives "" for what is not there. */
function rowOf(line: number, field: (name: Column) => string): ImportRow {
  return {
    line,
    productKey: field("productKey"),
    deviceName: field("deviceName"),
    deviceSecret: field("deviceSecret"),
    productSecret: field("productSecret") || undefined,
    nickname: field("nickname") || undefined,
  };
}
