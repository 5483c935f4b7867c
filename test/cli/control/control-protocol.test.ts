// Requests and answers of the control socket: what is written comes through whole, and what is wrong is refused by name.
import { describe, expect, test } from "vitest";
import { encodeRequest, parseRequest, RequestRefusal } from "../../../src/cli/control/control-protocol.ts";
import { BARE, FULL } from "./control-socket.ts";

describe("protocol", () => {
  test("a message with every property comes through whole", () => {
    expect(parseRequest(encodeRequest({ id: 7, operation: "publish", message: FULL }))).toEqual({
      id: 7,
      operation: "publish",
      message: FULL,
    });
  });

  test("a backup names its directory", () => {
    const backup = { id: 8, operation: "backup", directory: "/b/ü" } as const;
    expect(parseRequest(encodeRequest(backup))).toEqual(backup);
  });

  const request = { v: 1, id: 1, operation: "publish", message: { topic: "t" } };
  test("payload, QoS, RETAIN and properties may be left out", () => {
    expect(parseRequest(JSON.stringify(request))).toEqual({ id: 1, operation: "publish", message: BARE });
  });

  test.each<[string, unknown, string]>([
    ["no JSON", "{", "BAD_REQUEST"],
    ["no object", [], "BAD_REQUEST"],
    ["another version", { ...request, v: 2 }, "UNSUPPORTED_VERSION"],
    ["no version", { id: 1 }, "UNSUPPORTED_VERSION"],
    ["no id", { ...request, id: undefined }, "BAD_REQUEST"],
    ["id 0", { ...request, id: 0 }, "BAD_REQUEST"],
    ["another operation", { ...request, operation: "stop" }, "BAD_REQUEST"],
    ["a backup to nowhere", { ...request, operation: "backup" }, "BAD_REQUEST"],
    ["a backup to a relative path", { ...request, operation: "backup", directory: "b" }, "BAD_REQUEST"],
    ["a backup to no path", { ...request, operation: "backup", directory: "/b\0" }, "BAD_REQUEST"],
    ["a call without a name", { ...request, operation: "registry", given: {} }, "BAD_REQUEST"],
    ["a call with a list", { ...request, operation: "registry", call: "x", given: [] }, "BAD_REQUEST"],
    ["no message", { ...request, message: null }, "BAD_REQUEST"],
    ["no topic", { ...request, message: {} }, "BAD_REQUEST"],
    ["QoS 3", { ...request, message: { topic: "t", qos: 3 } }, "BAD_REQUEST"],
    ["RETAIN 1", { ...request, message: { topic: "t", retain: 1 } }, "BAD_REQUEST"],
    ["payload not Base64", { ...request, message: { topic: "t", payload: "ab*=" } }, "BAD_REQUEST"],
    ["an unknown field", { ...request, message: { topic: "t", quality: 1 } }, "BAD_REQUEST"],
    [
      "an unknown property",
      { ...request, message: { topic: "t", properties: { topicAlias: 1 } } },
      "BAD_REQUEST",
    ],
    [
      "a pair of three",
      { ...request, message: { topic: "t", properties: { userProperties: [["a", "b", "c"]] } } },
      "BAD_REQUEST",
    ],
    [
      "an expiry too far",
      { ...request, message: { topic: "t", properties: { messageExpiryInterval: 2 ** 32 } } },
      "BAD_REQUEST",
    ],
  ])("refuses %s", (_, value, code) => {
    const parse = () => parseRequest(typeof value === "string" ? value : JSON.stringify(value));
    expect(parse).toThrow(RequestRefusal);
    expect(parse).toThrow(expect.objectContaining({ code }));
  });
});
