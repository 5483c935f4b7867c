import { describe, expect, it } from "vitest";
import { type ClientIdField, parseClientId } from "../../../src/platform/names/client-id.ts";
import { parseUserName } from "../../../src/platform/names/user-name.ts";

/** Names the lists below have, or could be taken to have. */
const NAMES =
  "securemode signmethod timestamp lan _v ext sii sii=x x secure mode 1700000000000000000 __proto__ constructor";

function parse(field: string): { clientId: string; extensions: { [key: string]: string } } {
  const parsed = parseClientId(field, 1024);
  if (typeof parsed === "string") throw new Error(parsed);
  const extensions: { [key: string]: string } = {};
  for (const name of ["", ...NAMES.split(" ")]) {
    const value = parsed.extensions.get(name);
    if (value !== undefined) extensions[name] = value;
  }
  return { clientId: parsed.clientId, extensions };
}

describe("[AUTH-1] ClientID field", () => {
  it.each([
    ["a|securemode=3,signmethod=hmacsha1|", "a", { securemode: "3", signmethod: "hmacsha1" }],
    ["a|signmethod=hmacsha1,securemode=3|", "a", { securemode: "3", signmethod: "hmacsha1" }],
    ["a||", "a", {}],
    ["|securemode=3|", "", { securemode: "3" }],
  ])("%s", (field, clientId, extensions) => {
    expect(parse(field)).toEqual({ clientId, extensions });
  });
  it.each(["", "a", "a|", "|", "a|securemode=3", "a|securemode=3,lan=JS|Ali"])("refuses %j", (field) => {
    expect(parseClientId(field, 1024)).toBeTypeOf("string");
  });
});

describe("[AUTH-2] tolerance", () => {
  it.each([
    ["a bar inside a value", "a|securemode=3,lan=JS|Ali,_v=1|", { securemode: "3", lan: "JS|Ali", _v: "1" }],
    ["a bar at the end of a value", "a|lan=JS||", { lan: "JS|" }],
    ["a trailing comma", "a|ext=3,|", { ext: "3" }],
    ["a bare word", "a|ext=3,1700000000000000000|", { ext: "3" }],
    [
      "blanks and line breaks",
      "a|securemode=3,\n        signmethod=hmacsha1 ,\r\n\ttimestamp=1|\n  ",
      {
        securemode: "3",
        signmethod: "hmacsha1",
        timestamp: "1",
      },
    ],
    ["the same key twice", "a|ext=1,ext=2|", { ext: "2" }],
    ["an equals sign in a value", "a|sii=x=y|", { sii: "x=y" }],
    ["an entry without a key", "a|=x,ext=1|", { ext: "1" }],
  ])("%s", (_, field, extensions) => {
    expect(parse(field)).toEqual({ clientId: "a", extensions });
  });
  it("a key that objects have by birth is an ordinary key", () => {
    const field = parseClientId("a|__proto__=x,constructor=y|", 1024) as ClientIdField;
    expect(["__proto__", "constructor", "toString"].map((name) => field.extensions.get(name))).toEqual([
      "x",
      "y",
      undefined,
    ]);
  });
});

describe("[AUTH-3] length", () => {
  it("64 characters before the bar, counted as characters", () => {
    expect(parse(`${"x".repeat(64)}|securemode=3|`).clientId).toHaveLength(64);
    expect(parse(`${"😀".repeat(64)}|securemode=3|`).clientId).toBe("😀".repeat(64));
    expect(parseClientId(`${"x".repeat(65)}|securemode=3|`, 1024)).toMatch(/longer than 64/);
    expect(parseClientId(`${"😀".repeat(65)}|securemode=3|`, 1024)).toMatch(/longer than 64/);
  });
  it("1024 bytes in all", () => {
    const field = (bytes: number) => `a|x=${"é".repeat((bytes - 6) / 2)}y|`;
    expect(Buffer.byteLength(field(1024))).toBe(1024);
    expect(parse(field(1024)).clientId).toBe("a");
    expect(parseClientId(field(1026), 1024)).toMatch(/longer than 1024 bytes/);
  });
});

describe("[AUTH-4] user name", () => {
  it.each([
    ["device1&a1EXAMPLE01", "device1", "a1EXAMPLE01"],
    ["dev:1.a@b-c_d&a1EXAMPLE01", "dev:1.a@b-c_d", "a1EXAMPLE01"],
    [`${"d".repeat(32)}&pk`, "d".repeat(32), "pk"],
    ["devA&Pk", "devA", "Pk"],
  ])("%s", (text, deviceName, productKey) => {
    expect(parseUserName(text)).toEqual({ deviceName, productKey });
  });
  it.each([
    undefined,
    "",
    "device1",
    "&a1EXAMPLE01",
    "device1&",
    "dev&a1EXAMPLE01",
    `${"d".repeat(33)}&pk`,
    "dev&ice1&a1EXAMPLE01",
    "dev/1&a1EXAMPLE01",
    "dev+&a1EXAMPLE01",
    "dev#&a1EXAMPLE01",
    "device1&a1/x",
    "device1&+",
    "设备一二三&pk",
    "device1&pk\n",
  ])("refuses %j", (text) => {
    expect(parseUserName(text)).toBeUndefined();
  });
});
