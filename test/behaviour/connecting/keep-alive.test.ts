// Keep Alive: silence of one and a half times the interval ends the connection [MQTT-3.1.2-24]; 0 switches it off.
// Mosquitto 2.0.11 looks every five seconds, so it closes later than that, against the standard, and without DISCONNECT 0x8d, which
// the standard leaves to the server.
import { describe, expect, test } from "vitest";
import { ALL, unique, useServer } from "../../support/server.ts";
import { timePasses } from "../../support/time.ts";

const server = useServer({}, { concurrent: true });
/** Between packets that come in time: less than one and a half times a Keep Alive of a second. */
const BETWEEN_MS = 800;

describe.concurrent("in every version, side by side", () => {
  test.each(ALL)(
    "[CONN-6] MQTT %s: silence of 1.5 x Keep Alive ends the connection",
    async (_name, version) => {
      const client = await server.connect(version, { keepAlive: 1 });
      const start = performance.now();
      await client.expectEnd(0x8d);
      const elapsed = performance.now() - start;
      expect(elapsed).toBeGreaterThan(1_300);
      expect(elapsed).toBeLessThan(3_500);
    },
  );

  test.each(ALL)("[CONN-6] MQTT %s: PUBLISH and SUBSCRIBE keep it alive", async (_name, version) => {
    const client = await server.connect(version, { keepAlive: 1 });
    const topic = unique("alive");
    for (let turn = 0; turn < 4; turn++) {
      await timePasses(BETWEEN_MS);
      if (turn % 2 === 0) client.send(client.wire.publish(topic, "x"));
      else await client.subscribe(topic);
    }
    await client.fence();
  });

  test.each(ALL)("[CONN-6] MQTT %s: PINGREQ keeps it alive [MQTT-3.12.4-1]", async (_name, version) => {
    const client = await server.connect(version, { keepAlive: 1 });
    for (let turn = 0; turn < 4; turn++) {
      await timePasses(BETWEEN_MS);
      await client.expectNothing();
    }
  });

  test.each(ALL)("MQTT %s: what the server sends does not keep it alive", async (_name, version) => {
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

  test.each(ALL)("MQTT %s: 0 switches it off", async (_name, version) => {
    const client = await server.connect(version, { keepAlive: 0 });
    // Longer than one and a half times the shortest Keep Alive, and a turn of the clock.
    await timePasses(3_000);
    await client.expectNothing();
  });
});
