import { describe, expect, it } from "vitest";
import { CONNECT, closed, dial, open, writeParts } from "../helpers.ts";
import { dialWs, httpAnswer, refusedStatus } from "./ws-clients.ts";

describe("the upgrade", () => {
  for (const [offered, chosen] of [
    [["mqtt"], "mqtt"],
    [["mqttv3.1"], "mqttv3.1"],
    [["mqttv3.1", "mqtt"], "mqtt"],
    [["other", "mqtt"], "mqtt"],
    [[], ""],
  ] as const) {
    it(`answers the subprotocols [${offered}] with "${chosen}" [NET-9]`, async () => {
      const opened = await open({ kind: "ws" });
      const client = await dialWs(opened.port, [...offered]);
      expect(client.protocol).toBe(chosen);
      client.terminate();
    });
  }

  it("refuses a client that offers other subprotocols only", async () => {
    const opened = await open({ kind: "ws" });
    expect(await refusedStatus(opened.port, ["wamp"])).toBe(400);
    expect(opened.reasons).toEqual(["upgrade"]);
  });

  it("takes any path", async () => {
    const opened = await open({ kind: "ws" });
    for (const path of ["/", "/mqtt", "/a/b?c=d"])
      (await dialWs(opened.port, ["mqtt"], {}, path)).terminate();
    expect(opened.reasons).toEqual([]);
  });

  it("answers a plain GET with 426 and a short text", async () => {
    const opened = await open({ kind: "ws" });
    const answer = await httpAnswer(opened.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 426 /);
    expect(answer).toContain("Upgrade: websocket");
    expect(answer).toContain("MQTT");
    expect(opened.reasons).toEqual(["upgrade"]);
  });

  it("answers a malformed or unfinished upgrade with 400", async () => {
    const opened = await open({ kind: "ws" });
    const broken = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    expect(await httpAnswer(opened.port, broken)).toMatch(/^HTTP\/1\.1 400 /);
    expect(await httpAnswer(opened.port, "G\u0001\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
    expect(opened.reasons).toEqual(["upgrade", "upgrade"]);
  });

  it("closes anything that is no GET", async () => {
    const opened = await open({ kind: "ws" });
    const client = await dial(opened.port);
    client.write(CONNECT);
    expect(await closed(client)).toBe(false);
    expect(opened.reasons).toEqual(["upgrade"]);
  });

  it("must be finished in time", async () => {
    const opened = await open({ kind: "ws" }, { handshakeTimeoutMs: 100, maxHandshakes: 1 });
    const client = await dial(opened.port);
    client.write("GET / HTTP/1.1\r\nHost: a\r\n");
    await closed(client);
    expect(opened.reasons).toEqual(["deadline"]);
    (await dialWs(opened.port)).terminate();
  });

  it("is bounded in number: n-1 and n are served, n+1 is closed", async () => {
    const opened = await open({ kind: "ws" }, { maxHandshakes: 2 });
    const waiting = [await dial(opened.port), await dial(opened.port)];
    for (const socket of waiting) await writeParts(socket, Buffer.from("GET / HTTP/1.1\r\n"));
    expect(opened.reasons).toEqual([]);
    const third = await dial(opened.port);
    third.write("GET / HTTP/1.1\r\n");
    expect(await closed(third)).toBe(false);
    expect(opened.reasons).toEqual(["handshakes"]);
    waiting[0].destroy();
    await closed(waiting[0]);
    // Its place is free as soon as the server has seen it go.
    await expect
      .poll(async () =>
        dialWs(opened.port).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    waiting[1].destroy();
  });

  it("takes bytes that follow the request in the same segment, split anywhere", async () => {
    const opened = await open({ kind: "ws" });
    const head = Buffer.from(
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
    );
    const frame = Buffer.concat([Buffer.from([0x82, 0x80 | CONNECT.length, 0, 0, 0, 0]), CONNECT]);
    const all = Buffer.concat([head, frame]);
    for (let split = 1; split <= all.length; split += 1) {
      const client = await dial(opened.port);
      client.resume();
      await writeParts(client, all.subarray(0, split), all.subarray(split));
      const server = await opened.stream(split - 1);
      await server.until(() => server.bytes === CONNECT.length);
      expect(server.received.equals(CONNECT)).toBe(true);
      client.destroy();
    }
  });
});

describe("the Origin check", () => {
  it("admits no Origin, the own host, and listed ones", async () => {
    const opened = await open({ kind: "ws", allowedOrigins: ["https://app.example"] });
    for (const origin of [
      undefined,
      `http://127.0.0.1:${opened.port}`,
      "https://app.example",
      "HTTPS://App.Example",
    ]) {
      (await dialWs(opened.port, ["mqtt"], { origin })).terminate();
    }
    expect(opened.reasons).toEqual([]);
  });

  it("knows its own host with and without the scheme's port", async () => {
    const opened = await open({ kind: "ws" });
    for (const [origin, host] of [
      ["http://broker.example", "broker.example"],
      ["http://broker.example", "broker.example:80"],
      ["https://broker.example", "broker.example:443"],
      ["http://broker.example:8083", "BROKER.example:8083"],
    ]) {
      (await dialWs(opened.port, ["mqtt"], { origin, headers: { Host: host } })).terminate();
    }
    expect(opened.reasons).toEqual([]);
  });

  it("refuses all others with 403", async () => {
    const opened = await open({ kind: "ws", allowedOrigins: ["https://app.example"] });
    const origins = [
      "http://evil.example",
      "https://app.example:444",
      "null",
      "file://",
      "http://127.0.0.1:1",
      "x",
    ];
    for (const origin of origins) expect(await refusedStatus(opened.port, ["mqtt"], { origin })).toBe(403);
    expect(opened.reasons).toEqual(origins.map(() => "origin"));
    expect(opened.recorders.length).toBe(0);
  });

  it('admits every Origin with "*"', async () => {
    const opened = await open({ kind: "ws", allowedOrigins: ["*"] });
    for (const origin of ["http://evil.example", "null"]) {
      (await dialWs(opened.port, ["mqtt"], { origin })).terminate();
    }
    expect(opened.reasons).toEqual([]);
  });
});
