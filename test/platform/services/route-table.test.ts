// Which service a topic belongs to.
import { describe, expect, test } from "vitest";
import { RouteTable } from "../../../src/platform/services/route-table.ts";
import type { Route } from "../../../src/platform/contract/service.ts";

const route = (pattern: string): Route => ({ pattern, consumes: true, handle() {} });
const table = new RouteTable([
  { routes: [route("/ext/ntp/{pk}/{dn}/request"), route("/sys/{pk}/{dn}/thing/event/property/post")] },
  { routes: [route("/sys/{pk}/{dn}/thing/event/+/post"), route("/ext/rrpc/+/{pk}/{dn}/#")] },
]);

describe("topics and their routes", () => {
  test.each([
    ["/ext/ntp/a1/dev1/request", "/ext/ntp/{pk}/{dn}/request", []],
    ["/sys/a1/dev1/thing/event/property/post", "/sys/{pk}/{dn}/thing/event/property/post", []],
    ["/sys/a1/dev1/thing/event/alarm/post", "/sys/{pk}/{dn}/thing/event/+/post", ["alarm"]],
    ["/ext/rrpc/17/a1/dev1/user/get", "/ext/rrpc/+/{pk}/{dn}/#", ["17", "user/get"]],
    ["/sys/a1/dev1/thing/event//post", "/sys/{pk}/{dn}/thing/event/+/post", [""]],
  ])("%s", (topic, pattern, levels) => {
    const found = table.find(topic);
    expect(found?.route.pattern).toBe(pattern);
    expect(found?.device).toEqual({ productKey: "a1", deviceName: "dev1" });
    expect(found?.levels).toEqual(levels);
  });

  test.each([
    "",
    "/",
    "/ext",
    "ext/ntp/a1/dev1/request",
    "/ext/ntp/a1/dev1/request/more",
    "/ext/ntp/a1/dev1",
    "/ext/rrpc/17/a1/dev1",
    "/sys/a1/dev1/thing/event/alarm/post_reply",
    "/__proto__/a1/dev1/request",
  ])("none: %s", (topic) => expect(table.find(topic)).toBeUndefined());

  test("a pattern that names no device, or begins with one, is a mistake of the program", () => {
    for (const pattern of ["/ext/ntp/request", "{pk}/{dn}", "/{pk}/{dn}/user", "/ext/{pk}"])
      expect(() => new RouteTable([{ routes: [route(pattern)] }])).toThrow(TypeError);
  });
});
