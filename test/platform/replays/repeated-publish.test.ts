// The C Link SDK repeats a QoS 1 PUBLISH that got no PUBACK every three seconds on the same connection: the same bytes, the
// same identifier, DUP 0, in 5.0 too. Here the store is slow, so that the first copy waits.
import { describe, expect, test } from "vitest";
import { BOTH, keptSession } from "../../support/server.ts";
import { lengthed, raw, u16 } from "../../support/wire.ts";
import { useHeldServer } from "../../store/held-store.ts";
import { type Connect, PK, replay, replayRegistry } from "./registry.ts";

const { held, server } = useHeldServer({
  profile: "platform",
  platform: { rates: { enabled: false } },
  devices: replayRegistry(),
  listeners: [{ port: 0 }, { port: 0, profile: "standard" }],
});
const C: Connect = {
  clientId: `${PK}.device1|timestamp=2524608000000,_ss=1,_v=sdk-c-4.1.0,securemode=3,signmethod=hmacsha256,ext=3,_conn=tls_0|`,
  password: "1628AEC2CACB7913DCF9C794E5D99383701333332A01BA386D4753ADCBC20C92",
  keepAlive: 1200,
  clean: true,
};

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[QOS-4] copies while the first one waits are acknowledged each, and forwarded once", async () => {
    const topic = `/${PK}/device1/user/update`;
    // A program of the server's side, whose session is kept: the message has to be safe first.
    const [, business] = server.broker.listeners;
    const reader = await server.connect(version, keptSession(), { port: business.port });
    await reader.subscribe([{ filter: topic, qos: 1 }]);
    const device = await replay(server, version, C);
    const bytes = (text: string): Buffer =>
      raw(0x32, lengthed(topic), u16(1), version === 5 ? Buffer.of(0) : "", text);

    held.hold();
    device.send(bytes("once"));
    const commit = await held.commits(1);
    device.send(bytes("once"));
    device.send(bytes("once"));
    await device.expectNothing();
    commit.succeed();
    held.release();
    for (let copy = 0; copy < 3; copy++)
      expect(await device.next("puback")).toMatchObject({ id: 1, reason: 0 });
    expect(await reader.receive()).toMatchObject({ text: "once" });

    // Acknowledged: the identifier is free, and the same bytes are another message.
    device.send(bytes("next"));
    expect(await device.next("puback")).toMatchObject({ id: 1, reason: 0 });
    expect(await reader.receive()).toMatchObject({ text: "next" });
    await reader.expectNothing();
  });
});
