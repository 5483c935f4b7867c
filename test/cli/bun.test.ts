// The built executable on Bun, where it is installed: a client comes in at every kind of listener, and what was kept
// outlives the process.
import mqtt from "mqtt";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BUN } from "../support/bun.ts";
import { type Running, Workplace } from "./executable.ts";

describe.skipIf(BUN === undefined)("on Bun", () => {
  const workplace = new Workplace(BUN);
  const KINDS = ["auto", "ws", "tls", "wss"] as const;
  const listeners = KINDS.flatMap((kind) => ["--listen", `${kind}://localhost:0`]);
  let broker: Running;
  beforeAll(async () => {
    broker = await workplace.start("--profile", "standard", ...listeners);
  });
  afterAll(() => workplace.close());

  const connect = (scheme: string, kind: (typeof KINDS)[number], protocolVersion: 4 | 5) =>
    mqtt.connectAsync(`${scheme}://127.0.0.1:${broker.ports[KINDS.indexOf(kind)]}/mqtt`, {
      protocolVersion,
      rejectUnauthorized: false,
      reconnectPeriod: 0,
    });

  test.each([
    ["mqtt", "auto"],
    ["mqtts", "auto"],
    ["ws", "auto"],
    ["ws", "ws"],
    ["mqtts", "tls"],
    ["wss", "wss"],
  ] as const)("%s to a listener of kind %s, 3.1.1 and 5.0", async (scheme, kind) => {
    for (const version of [4, 5] as const) {
      const client = await connect(scheme, kind, version);
      const message = new Promise((resolve) =>
        client.once("message", (topic, payload, { qos }) => resolve([topic, payload.length, qos])),
      );
      await client.subscribeAsync("a/#", { qos: 2 });
      await client.publishAsync("a/b", "x".repeat(300_000), { qos: 2 });
      expect(await message).toEqual(["a/b", 300_000, 2]);
      await client.endAsync();
    }
  });

  test("SIGTERM ends with 0, and the next start has the retained message", async () => {
    const first = await connect("mqtt", "auto", 5);
    await first.publishAsync("kept", "v", { qos: 1, retain: true });
    await first.endAsync();
    broker.child.kill("SIGTERM");
    expect(await broker.exited).toBe(0);
    broker = await workplace.start("--profile", "standard", ...listeners);
    const second = await connect("mqtt", "auto", 5);
    const kept = new Promise((resolve) => second.once("message", (_topic, payload) => resolve(`${payload}`)));
    await second.subscribeAsync("kept", { qos: 1 });
    expect(await kept).toBe("v");
    await second.endAsync();
  });
});
