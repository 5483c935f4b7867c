// Lines in cells, beside an array of texts: what is put is read, what is freed is used again, and lists keep their order.
import fc from "fast-check";
import { expect, test } from "vitest";
import { CELL_BYTES, CELL_COST, Cells, type Line } from "../../../src/platform/run-log/cells.ts";

const lengths = fc.oneof(
  fc.constantFrom(0, 1, CELL_BYTES - 1, CELL_BYTES, CELL_BYTES + 1, 2 * CELL_BYTES),
  fc.nat(600),
);

test("any order of putting and freeing", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(lengths, fc.nat(9)), { maxLength: 200 }), (plan) => {
      const cells = new Cells(40 * CELL_COST);
      const kept: { line: Line; text: string }[] = [];
      let used = 0;
      const cost = (length: number): number => Math.max(1, Math.ceil(length / CELL_BYTES));
      for (const [i, [length, which]] of plan.entries()) {
        if (kept.length > 0 && which < 4) {
          const [gone] = kept.splice(which % kept.length, 1);
          cells.free(gone.line);
          used -= cost(gone.text.length);
        } else if (cells.hasRoom(length)) {
          const text = String.fromCharCode(97 + (i % 26)).repeat(length);
          kept.push({ line: cells.put(Buffer.from(`<${text}>`), 1, 1 + length), text });
          used += cost(length);
        }
        expect(cells.bytes).toBe(used * CELL_COST);
        expect(cells.hasRoom((40 - used) * CELL_BYTES)).toBe(used < 40);
        expect(cells.hasRoom((40 - used) * CELL_BYTES + 1)).toBe(false);
        for (const { line, text } of kept) expect(cells.text(line)).toBe(text);
      }
    }),
  );
});

test("more than one chunk, and lists through all of them", () => {
  const cells = new Cells(30_000 * CELL_COST);
  const lines: Line[] = [];
  for (let i = 0; i < 10_000; i++) {
    const text = Buffer.from(`${i} `.repeat(50));
    const line = cells.put(text, 0, text.length);
    if (lines.length > 0) cells.putBehind(line, lines[lines.length - 1]);
    lines.push(line);
  }
  let count = 0;
  for (let line = lines[0]; line !== 0; line = cells.behind(line))
    expect(cells.text(line)).toBe(`${count++} `.repeat(50));
  expect(count).toBe(10_000);
  for (const line of lines) cells.free(line);
  expect(cells.bytes).toBe(0);
  expect(cells.couldHold(30_000 * CELL_BYTES)).toBe(true);
  expect(cells.couldHold(30_000 * CELL_BYTES + 1)).toBe(false);
});
