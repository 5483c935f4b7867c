import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CsvReader, type CsvRecord, MAX_RECORD } from "../../../src/cli/registry/csv-records.ts";

function read(...pieces: string[]): CsvRecord[] {
  const reader = new CsvReader();
  return [...pieces.flatMap((piece) => reader.push(piece)), ...reader.end()];
}

const fieldsOf = (text: string) => read(text).map(({ line, fields }) => [line, ...fields]);

describe("records", () => {
  test("end with LF, CRLF or the text; blank lines are none", () => {
    expect(fieldsOf("a,b\nc,d\r\n\n  \r\ne,")).toEqual([
      [1, "a", "b"],
      [2, "c", "d"],
      [5, "e", ""],
    ]);
    expect(read("")).toEqual([]);
  });

  test("may have commas, quotes and line breaks between quotes; the line is that of their beginning", () => {
    expect(fieldsOf('a,"b, ""c""\r\nd"\n"","x"\ny,z\n')).toEqual([
      [1, "a", 'b, "c"\r\nd'],
      [3, "", "x"],
      [4, "y", "z"],
    ]);
  });

  test.each([
    ['a,b"c\nd,e', /a quote stands inside a field/],
    ['a,"b"c\nd,e', /follows the closing quote/],
    ['a,"b\nd,e', /does not end/],
  ])("that are not well formed are bad alone: %j", (text, defect) => {
    const [first, ...rest] = read(text);
    expect(first).toMatchObject({ line: 1, defect: expect.stringMatching(defect) });
    expect(rest.map(({ line, fields }) => [line, ...fields])).toEqual([[2, "d", "e"]]);
  });

  test("of any length do not fill the memory, and hide no line behind them", () => {
    const long = "x".repeat(MAX_RECORD + 1);
    for (const text of [`a\n${long}\nb\n`, `a\n${long}${long}\nb`, `a\n"${long}\nb`, `a\n${long}`]) {
      const all = read(...(text.match(/[\s\S]{1,10000}/g) ?? []));
      expect(all[0]).toEqual({ line: 1, fields: ["a"] });
      expect(all[1]).toMatchObject({ line: 2, defect: expect.any(String) });
      if (text.endsWith(long)) expect(all).toHaveLength(2);
      else expect(all.slice(2)).toEqual([{ line: 3, fields: ["b"] }]);
    }
  });

  test("are the same however the text is cut", () => {
    const field = fc.oneof(fc.constantFrom("", '"', ",", "\n", "\r\n", "a b", "ü"), fc.string());
    fc.assert(
      fc.property(
        fc.array(fc.array(field, { minLength: 2, maxLength: 4 }), { maxLength: 8 }),
        fc.array(fc.nat({ max: 6 }), { maxLength: 30 }),
        (rows, cuts) => {
          const quoted = rows.map((row) => row.map((one) => `"${one.replaceAll('"', '""')}"`).join(","));
          const text = quoted.map((row) => `${row}\n`).join("");
          const pieces: string[] = [];
          let at = 0;
          for (const cut of cuts) {
            pieces.push(text.slice(at, at + cut));
            at += cut;
          }
          const all = read(...pieces, text.slice(at));
          expect(all.map(({ fields }) => fields)).toEqual(rows);
          expect(all).toEqual(read(text));
        },
      ),
    );
  });
});
