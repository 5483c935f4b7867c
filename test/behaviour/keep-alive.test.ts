// Keep Alive: silence of one and a half times the interval ends the connection [MQTT-3.1.2-24]; 0 switches it off.
import { describe, expect, test } from "vitest";
import { ALL, unique, useServer } from "../support/server.ts";

const server = useServer({}, { concurrent: true });
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe.concurrent.each(ALL)("MQTT %s", (_name, version) => {
  test("[CONN-6] silence of 1.5 x Keep Alive ends the connection", async () => {
    const client = await server.connect(version, { keepAlive: 1 });
    const start = performance.now();
    await client.expectEnd(0x8d);
    const elapsed = performance.now() - start;
    expect(elapsed).toBeGreaterThan(1_300);
    expect(elapsed).toBeLessThan(3_500);
  });

  test("[CONN-6] PUBLISH and SUBSCRIBE keep it alive", async () => {
    const client = await server.connect(version, { keepAlive: 1 });
    const topic = unique("alive");
    for (let turn = 0; turn < 4; turn++) {
      await pause(800);
      if (turn % 2 === 0) client.send(client.wire.publish(topic, "x"));
      else await client.subscribe(topic);
    }
    await client.fence();
  });

  test("[CONN-6] PINGREQ keeps it alive [MQTT-3.12.4-1]", async () => {
    const client = await server.connect(version, { keepAlive: 1 });
    for (let turn = 0; turn < 4; turn++) {
      await pause(800);
      await client.expectNothing();
    }
  });

  test("what the server sends does not keep it alive", async () => {
    // What the server sends does not count: only the client's packets keep it alive.
    const topic = unique("listening");
    const client = await server.connect(version, { keepAlive: 1 });
    await client.subscribe(topic);
    const publisher = await server.connect(version, { keepAlive: 0 });
    const timer = setInterval(() => publisher.send(publisher.wire.publish(topic, "x")), 200);
    const packets = await client.closed().finally(() => clearInterval(timer));
    expect(packets.filter((packet) => packet.type === "publish").length).toBeGreaterThan(3);
    if (version === 5) expect(packets.at(-1)).toMatchObject({ type: "disconnect", reason: 0x8d });
  });

  test("0 switches it off", async () => {
    const client = await server.connect(version, { keepAlive: 0 });
    await pause(3_000);
    await client.expectNothing();
  });
});
