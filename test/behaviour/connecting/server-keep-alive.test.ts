// Server Keep Alive: where the policy sets it, CONNACK says so and the server keeps to it [MQTT-3.2.2-22].
import { describe, expect } from "vitest";
import { ours, useServer } from "../../support/server.ts";
import { openPolicy } from "../../support/policy.ts";

const server = useServer({ profile: openPolicy({ accept: { serverKeepAlive: 1 } }) });

describe("MQTT 5.0", () => {
  ours("CONNACK names it, and it replaces the client's Keep Alive", async () => {
    const client = await server.connect(5, { keepAlive: 600 });
    expect(client.connack.properties.serverKeepAlive).toBe(1);
    const start = performance.now();
    await client.expectEnd(0x8d);
    expect(performance.now() - start).toBeGreaterThan(1_300);
  });
});
