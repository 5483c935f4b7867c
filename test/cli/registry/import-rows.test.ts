import { Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { readRows } from "../../../src/cli/registry/import-rows.ts";
import type { BadRow, ImportRow } from "../../../src/platform/registry/index.ts";

async function read(...pieces: (string | Buffer)[]): Promise<{ rows: ImportRow[]; bad: BadRow[] }> {
  const rows: ImportRow[] = [];
  const bad: BadRow[] = [];
  const input = Readable.from(pieces.map((piece) => Buffer.from(piece)));
  for await (const batch of readRows(input, "f.csv")) {
    rows.push(...batch.rows);
    bad.push(...batch.bad);
  }
  return { rows, bad };
}

const HEAD = "productKey,deviceName,deviceSecret";

describe("CSV", () => {
  test("columns come in any order and case; a byte order mark and CRLF do not matter", async () => {
    const { rows, bad } = await read(
      "\ufeffDeviceName,DeviceSecret,ProductKey,nickname,productSecret\r\n",
      'devA,s1,a1x,"Pump, ""1""",ps\r\ndevB,s2,a1x,,\r\n',
    );
    expect(bad).toEqual([]);
    expect(rows).toEqual([
      {
        line: 2,
        productKey: "a1x",
        deviceName: "devA",
        deviceSecret: "s1",
        productSecret: "ps",
        nickname: 'Pump, "1"',
      },
      { line: 3, productKey: "a1x", deviceName: "devB", deviceSecret: "s2" },
    ]);
  });

  test("bytes may be cut inside a character", async () => {
    const text = Buffer.from(`${HEAD},nickname\na1x,devA,s,Wasserzähler水\n`);
    for (let cut = 1; cut < text.length; cut++) {
      const { rows } = await read(text.subarray(0, cut), text.subarray(cut));
      expect(rows[0].nickname).toBe("Wasserzähler水");
    }
  });

  test("names the line of a row with too few or many fields, and goes on", async () => {
    const { rows, bad } = await read(`${HEAD}\na1x,devA\na1x,devB,s,x\n\na1x,"devC,s\na1x,devD,s\n`);
    expect(bad.map(({ line }) => line)).toEqual([2, 3, 5]);
    expect(rows.map(({ line, deviceName }) => [line, deviceName])).toEqual([[6, "devD"]]);
  });

  test.each([
    ["", /it is empty/],
    ["a1x,devA,s\n", /"a1x" is no column/],
    ["productKey,deviceName\n", /deviceSecret is missing/],
    [`${HEAD},deviceName\n`, /stands twice/],
    [Buffer.from([0xd0, 0xce, 0x2c, 0x0a]), /is not UTF-8/],
  ])("refuses a file whose beginning it cannot read: %j", async (content, message) => {
    await expect(read(content)).rejects.toMatchObject({
      code: "IMPORT_FORM",
      message: expect.stringMatching(message),
    });
  });
});

describe("JSON lines", () => {
  test("have the same names; also as an array with one object a line", async () => {
    const one = '{"productKey":"a1x","deviceName":"__proto__","deviceSecret":"s","nickname":"Pump"}';
    for (const text of [`${one}\n`, `\n\n${one}`, `[\n${one},\n${one}\n]\n`]) {
      const { rows, bad } = await read(text);
      expect(bad).toEqual([]);
      expect(rows[0]).toMatchObject({ productKey: "a1x", deviceName: "__proto__", nickname: "Pump" });
      expect(rows[0].productSecret).toBeUndefined();
    }
  });

  test("names the line of what is no row", async () => {
    const good = '{"productKey":"a1x","deviceName":"devA","deviceSecret":"s"}';
    const { rows, bad } = await read(
      [
        good,
        "{",
        "[1]",
        '{"productKey":"a1x","deviceName":"devA"}',
        '{"productKey":"a1x","deviceName":"devA","deviceSecret":1}',
        '{"productKey":"a1x","deviceName":"devA","deviceSecret":"s","__proto__":"x"}',
        `"${"x".repeat(70_000)}"`,
        good,
      ].join("\n"),
    );
    expect(bad.map(({ line, message }) => `${line} ${message}`)).toEqual([
      "2 is no JSON object",
      "3 is no JSON object",
      "4 deviceSecret: is missing",
      "5 deviceSecret: is not a text",
      "6 __proto__: there is no such field",
      "7 has more than 65536 characters",
    ]);
    expect(rows.map(({ line }) => line)).toEqual([1, 8]);
  });
});
