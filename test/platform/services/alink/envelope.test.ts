// The envelope of Alink requests and replies.
import { describe, expect, test } from "vitest";
import { alinkReply, methodOf, parseAlink } from "../../../../src/platform/services/alink/envelope.ts";

const parse = (value: unknown) =>
  parseAlink(Buffer.from(typeof value === "string" ? value : JSON.stringify(value)));

describe("Alink requests", () => {
  test("what SDKs send: with a method, without, with a number as id, with sys.ack", () => {
    expect(
      parse({ id: "1|exp-topic|/sys/x", version: "1.0", params: { a: 1 }, method: "thing.x" }),
    ).toMatchObject({
      id: "1|exp-topic|/sys/x",
      method: "thing.x",
      wantsReply: true,
      params: { a: 1 },
    });
    expect(parse({ id: 1, params: { version: "1.0.0" } })).toMatchObject({ id: 1, method: undefined });
    expect(parse({ id: "1", params: {}, sys: { ack: 0 } })?.wantsReply).toBe(false);
    expect(parse({ id: "1", params: {}, sys: { ack: 1 } })?.wantsReply).toBe(true);
    expect(parse({ id: "5", method: "" })?.method).toBeUndefined();
  });

  test.each(["", "5", "[]", "null", "{", `${"[".repeat(40)}${"]".repeat(40)}`])("no Alink: %.10s", (text) =>
    expect(parse(text)).toBeUndefined(),
  );

  test("an id, method or version of absurd length does not go back", () => {
    expect(parse({ id: "x".repeat(1_024) })?.id).toHaveLength(1_024);
    const long = "x".repeat(1_025);
    expect(parse({ id: long, method: long, version: long })).toMatchObject({
      id: undefined,
      method: undefined,
      version: undefined,
    });
  });

  test("inherited names are not fields", () => {
    expect(parse('{"__proto__":{"id":"5","params":{}}}')).toMatchObject({ id: undefined, params: undefined });
  });
});

describe("Alink replies", () => {
  test.each(["12345678901234567890", "-9223372036854775808", "1.50", "1e3000", `1${"0".repeat(400)}`])(
    "a number goes back as it stands there: %s",
    (number) => {
      for (const text of [
        `{"id":${number},"params":{"id":5,"x":"\\"id\\":6,{"}}`,
        `{"id":1,"params":[{"id":7}],"id"\n: ${number} }`,
      ]) {
        const request = parse(text);
        expect(alinkReply(request ?? { id: 0, version: "" }, "m", { code: 200 })).toContain(
          `"id":${number},`,
        );
      }
    },
  );

  test("a number of absurd length, or behind a key in escapes, does not go back", () => {
    for (const text of [`{"id":1${"0".repeat(1_024)}}`, `{"\\u0069d":12345678901234567890}`])
      expect(parse(text)).toMatchObject({ id: undefined });
  });

  test.each(["17", 17])("the id goes back with its type: %j", (id) => {
    const reply = alinkReply({ id, version: "1.0" }, "thing.event.property.post", { code: 200 });
    expect(JSON.parse(reply)).toEqual({
      code: 200,
      data: {},
      id,
      message: "success",
      method: "thing.event.property.post",
      version: "1.0",
    });
  });

  test("keys of data come behind the reply's own in the text", () => {
    const reply = alinkReply({ id: "1", version: undefined }, "m", { code: 200, data: { id: "x", code: 5 } });
    expect(reply.indexOf('"code":200')).toBeLessThan(reply.indexOf('"code":5'));
    expect(reply.indexOf('"id":"1"')).toBeLessThan(reply.indexOf('"id":"x"'));
  });

  test("the method of a topic", () =>
    expect(methodOf("thing/event/property/post")).toBe("thing.event.property.post"));
});
