// How much a device may have under way without acknowledgement, over real sockets.
import { describe, expect, test } from "vitest";
import { eventually } from "../../../support/server.ts";
import { useHeldServer } from "../../../store/held-store.ts";
import { connectDevice, PK, registryOf } from "../../signed-device.ts";

const { held, server } = useHeldServer({
  profile: "platform",
  devices: registryOf("flood1"),
  platform: { rates: { enabled: false } },
});
const topic = `/${PK}/flood1/user/both`;

describe("[LIMIT-5] a hundred QoS 1 messages without PUBACK", () => {
  test("3.1.1: what comes behind waits, in order, until some are acknowledged; nothing is lost", async () => {
    const device = await connectDevice(server, 4, "flood1", { clean: false });
    await device.subscribe({ filter: topic, qos: 1 });
    const seen: string[] = [];
    const stop = await server.broker.subscribe(
      topic,
      ({ payload }) => void seen.push(`${Buffer.from(payload)}`),
    );
    held.hold();
    const packets = Array.from({ length: 250 }, (_, i) =>
      device.wire.publish(topic, String(i), { qos: 1, id: i + 1 }),
    );
    device.send(Buffer.concat(packets));
    await eventually(() => seen.length >= 100, "a hundred are taken");
    // Others are served meanwhile; of this one nothing more is.
    const other = await server.open(4);
    other.send(other.wire.connect({ clientId: "nobody" }));
    await other.closed();
    expect(seen).toHaveLength(100);
    held.release();
    await eventually(() => seen.length === 250, "all are taken");
    expect(seen).toEqual(packets.map((_, i) => String(i)));
    for (let id = 1; id <= 250; id++) await device.of("puback", id);
    stop();
  });

  test("5.0: Receive Maximum 100 is announced, and more end the connection with 0x93", async () => {
    const device = await connectDevice(server, 5, "flood1", {
      clean: false,
      properties: { sessionExpiryInterval: 60 },
    });
    expect(device.connack.properties?.receiveMaximum).toBe(100);
    await device.subscribe({ filter: topic, qos: 1 });
    held.hold();
    const packets = Array.from({ length: 101 }, (_, i) =>
      device.wire.publish(topic, String(i), { qos: 1, id: i + 1 }),
    );
    device.send(Buffer.concat(packets));
    await device.take((packet) => packet.type === "disconnect" && packet.reason === 0x93, "DISCONNECT 0x93");
    held.release();
  });
});
