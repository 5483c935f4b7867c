// The C Link SDK repeats a QoS 1 PUBLISH that got no PUBACK every three seconds on the same connection: the same bytes, the
// same identifier, DUP 0, in 5.0 too. Here the store is slow, so that the first copy waits.
import { describe, expect, test, vi } from "vitest";
import { BOTH, keptSession } from "../../support/server.ts";
import { lengthed, raw, u16 } from "../../support/wire.ts";
import { useHeldServer } from "../../store/held-store.ts";
import { type Connect, PK, replay, replayRegistry } from "./registry.ts";

const devices = replayRegistry();
const { held, server } = useHeldServer({
  profile: "platform",
  platform: { rates: { enabled: false } },
  devices,
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

  test("[QOS-4] copies while a service is busy with the first one: served once, answered once", async () => {
    const device = await replay(server, version, C);
    const edit = vi.spyOn(devices.documents, "edit");
    let go = (): void => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const { edit: original } = Object.getPrototypeOf(devices.documents) as typeof devices.documents;
    edit.mockImplementation(async (work) => {
      await gate;
      return original.call(devices.documents, work) as never;
    });
    try {
      const update = JSON.stringify({ method: "update", state: { reported: { a: 1 } }, version: -1 });
      const bytes = raw(
        0x32,
        lengthed(`/shadow/update/${PK}/device1`),
        u16(1),
        version === 5 ? Buffer.of(0) : "",
        update,
      );
      device.send(bytes);
      await vi.waitUntil(() => edit.mock.calls.length === 1);
      device.send(bytes);
      device.send(bytes);
      await (await server.connect(version, {}, { port: server.broker.listeners[1].port })).fence();
      go();
      for (let copy = 0; copy < 3; copy++) expect(await device.of("puback")).toMatchObject({ id: 1 });
      expect(await device.receive()).toMatchObject({ topic: `/shadow/get/${PK}/device1` });
      await device.expectNothing();
      expect(edit).toHaveBeenCalledTimes(1);
    } finally {
      edit.mockRestore();
    }
  });

  test("[QOS-4] copies while the first one waits go up to the server's side once [UP-1]", async () => {
    const texts: string[] = [];
    const following = (async () => {
      for await (const { payload } of server.broker.upstream()) {
        texts.push(Buffer.from(payload).toString());
        if (texts.at(-1) === "end") return;
      }
    })();
    const topic = `/${PK}/device1/user/update`;
    const [, business] = server.broker.listeners;
    const reader = await server.connect(version, keptSession(), { port: business.port });
    await reader.subscribe([{ filter: topic, qos: 1 }]);
    const device = await replay(server, version, C);
    const bytes = (id: number, text: string): Buffer =>
      raw(0x32, lengthed(topic), u16(id), version === 5 ? Buffer.of(0) : "", text);
    held.hold();
    device.send(bytes(1, "once"));
    await held.commits(1);
    device.send(bytes(1, "once"), bytes(1, "once"));
    await device.expectNothing();
    held.release();
    for (let copy = 0; copy < 3; copy++) await device.next("puback");
    device.send(bytes(2, "end"));
    await following;
    expect(texts.filter((text) => !text.includes("status"))).toEqual(["once", "end"]);
  });
});
