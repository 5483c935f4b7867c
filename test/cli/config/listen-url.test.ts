import { describe, expect, test } from "vitest";
import { formatListenUrl, parseListenUrl } from "../../../src/cli/config/listen-url.ts";
import { ConfigError } from "../../../src/errors.ts";

describe("parseListenUrl", () => {
  test.each([
    ["tcp://localhost:1884", { kind: "tcp", host: "localhost", port: 1884 }],
    ["tcp://localhost", { kind: "tcp", host: "localhost", port: 1883 }],
    ["auto://0.0.0.0/", { kind: "auto", host: "0.0.0.0", port: 1883 }],
    ["tls://[::1]", { kind: "tls", host: "::1", port: 8883 }],
    ["WS://Example.ORG:80", { kind: "ws", host: "example.org", port: 80 }],
    ["wss://[::]:0", { kind: "wss", host: "::", port: 0 }],
    ["unix:///run/a b.sock", { kind: "unix", path: "/run/a b.sock" }],
  ])("%s", (url, expected) => {
    const parsed = parseListenUrl(url, "--listen");
    expect(parsed).toEqual(expected);
    expect(parseListenUrl(formatListenUrl(parsed), "--listen")).toEqual(expected);
  });

  test.each([
    ["localhost:1883", "is not a URL like"],
    ["1883", "is not a URL like"],
    ["mqtt://localhost", "did you mean tcp?"],
    ["mqtts://localhost", "did you mean tls?"],
    ["tpc://localhost", "did you mean tcp?"],
    ["quic://localhost", "one of tcp, tls, ws, wss, auto, http, https, unix"],
    ["tcp://", "names no address"],
    ["tcp://:1883", "names no address"],
    ["tcp://user@host", 'has "@host" behind the address'],
    ["tcp://::1:1883", "names no address"],
    ["ws://localhost/mqtt", 'has "/mqtt" behind the address'],
    ["tcp://localhost:65536", "port above 65535"],
    ["unix://relative.sock", "unix:///absolute/path"],
    ["unix:///", "unix:///absolute/path"],
  ])("refuses %s", (url, why) => {
    const parse = () => parseListenUrl(url, "listeners[0].url");
    expect(parse).toThrow(ConfigError);
    expect(parse).toThrow(why);
    expect(parse).toThrow("listeners[0].url");
  });
});
