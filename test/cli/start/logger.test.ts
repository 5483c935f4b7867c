import { expect, test } from "vitest";
import { createLogger } from "../../../src/cli/start/logger.ts";

function logTo(pretty: boolean) {
  const lines: string[] = [];
  return { lines, logger: createLogger("info", { write: (line) => lines.push(line) }, pretty) };
}

test("JSON lines for machines", () => {
  const { lines, logger } = logTo(false);
  logger.info({ client: "a" }, "client connected");
  expect(lines[0].endsWith("\n")).toBe(true);
  expect(JSON.parse(lines[0])).toEqual({
    level: "info",
    time: expect.any(String),
    client: "a",
    msg: "client connected",
  });
});

test("one readable line on a terminal, and no control character of a client's", () => {
  const { lines, logger } = logTo(true);
  logger.warn({ client: "a b\u001b[2J\u009b", port: 1883, path: "/a" }, "odd\u0007 \nname");
  expect(lines[0]).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} warn {2}odd\\x07 \\x0aname {2}client="a b\\u001b\[2J\\x9b" {2}port=1883 {2}path=\/a\n$/,
  );
});

test("secrets are cut out, two levels deep", () => {
  for (const pretty of [false, true]) {
    const { lines, logger } = logTo(pretty);
    logger.error(
      { password: "hush", device: { deviceSecret: "hush", tls: { key: "hush" } }, name: "kept" },
      "x",
    );
    expect(lines[0]).not.toContain("hush");
    expect(lines[0]).toContain("kept");
  }
});

test("the level can change", () => {
  const { lines, logger } = logTo(false);
  logger.debug({}, "unseen");
  logger.setLevel("debug");
  logger.debug({}, "seen");
  logger.setLevel("silent");
  logger.error({}, "unseen");
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual(["seen"]);
});
