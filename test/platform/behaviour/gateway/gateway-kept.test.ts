// What is kept for sub-devices that log in over their gateway with cleanSession false, over real sockets, in 3.1.1 and 5.0.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openStore } from "../../../../src/store/open-store.ts";
import { BOTH, TestServer, useServer } from "../../../support/server.ts";
import type { Version } from "../../../support/wire.ts";
import { devices, GPK, KEPT, nextName, options, Pair as PairAt } from "../../kept-pair.ts";
import { connectDevice, PK, secretOf } from "../../signed-device.ts";

const server = useServer(options);
class Pair extends PairAt {
  constructor(version: Version, at: TestServer = server) {
    super(version, at);
  }
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("[GW-3] logged out: messages of QoS 1 wait, come in order behind the reply, and its subscription holds on", async () => {
    const pair = await new Pair(version).begin("false");
    await pair.send("live");
    await pair.expectTexts("live");
    await pair.logout();
    const texts = Array.from({ length: 250 }, (_, i) => `message ${i}`);
    await pair.send(...texts);
    await pair.client.expectNothing();
    await pair.login("false");
    await pair.send("after");
    await pair.expectTexts(...texts, "after");
    await pair.login("false");
    await pair.send("still");
    await pair.expectTexts("still");
  });

  test("[GW-3] [QOS-4] logged out with a message unacknowledged: it comes again at the next login", async () => {
    const pair = await new Pair(version).begin("false", KEPT);
    await pair.send("one", "two");
    const first = await pair.client.next("publish");
    await pair.client.next("publish");
    await pair.logout();
    pair.client.send(pair.client.wire.puback(first.id));
    await pair.send("three");
    await pair.login("false");
    await pair.expectTexts("one", "two", "three");
  });

  test("[GW-3] cleanSession true, or left out, ends what is kept for good", async () => {
    for (const clean of ["true", undefined] as const) {
      const pair = await new Pair(version).begin("false");
      await pair.logout();
      await pair.send("one");
      await pair.login(clean);
      await pair.send("two");
      await pair.client.expectNothing();
      await pair.logout();
      await pair.send("three");
      await pair.login("false");
      await pair.client.expectNothing();
    }
  });

  test("[GW-3] nothing is kept for one that logged in with cleanSession true", async () => {
    const pair = await new Pair(version).begin("true");
    await pair.logout();
    await pair.send("one");
    await pair.login("false");
    await pair.send("two");
    await pair.client.expectNothing();
  });

  test.each([
    ["a session that ends with it", { clean: true }, []],
    ["a session that is kept", KEPT, ["in flight"]],
  ])(
    "[GW-3] the gateway's connection goes, with %s: what was handed over is not lost",
    async (_what, connect, inFlight) => {
      const pair = await new Pair(version).begin("false", connect);
      await pair.send("in flight");
      expect((await pair.client.next("publish")).text).toBe("in flight");
      await pair.lose();
      await pair.send("one", "two");
      await pair.open(connect);
      await pair.client.expectNothing();
      await pair.login("false");
      // Handed over, and not acknowledged.
      for (const text of [...inFlight, "one", "two"])
        expect((await pair.client.next("publish")).text).toBe(text);
      await pair.lose();
      await pair.send("three");
      await pair.open(connect);
      await pair.login("false");
      await pair.expectTexts(...inFlight, "one", "two", "three");
      await pair.lose();
      await pair.send("four");
      await pair.open(connect);
      await pair.login("false");
      await pair.expectTexts("four");
    },
  );

  test("[GW-3] disabled and enabled again: what came meanwhile is kept; deleted and made again: nothing", async () => {
    const pair = await new Pair(version).begin("false");
    await devices.disableDevice(PK, pair.sub);
    await pair.client.fence();
    await pair.send("one");
    await devices.enableDevice(PK, pair.sub);
    await pair.client.expectNothing();
    await pair.login("false");
    await pair.expectTexts("one");
    await devices.deleteDevice(PK, pair.sub);
    await devices.putDevice({ productKey: PK, deviceName: pair.sub, deviceSecret: secretOf(pair.sub) });
    await pair.client.fence();
    await pair.relate();
    await pair.send("two");
    await pair.login("false");
    await pair.client.expectNothing();
  });

  test("[GW-3] [SESS-0] one that connects itself finds the same session, and its gateway finds it behind that", async () => {
    const pair = await new Pair(version).begin("false");
    await pair.logout();
    await pair.send("one");
    const direct = await connectDevice(server, version, pair.sub, KEPT);
    expect(direct.connack.sessionPresent).toBe(true);
    expect(await direct.receive()).toMatchObject({ topic: pair.topic, text: "one", qos: 1 });
    await direct.disconnect();
    await pair.send("two");
    await pair.login("false");
    await pair.expectTexts("two");
  });

  test("[GW-4] [SESS-0] one that connects itself while it is logged in takes its session with it", async () => {
    const pair = await new Pair(version).begin("false", KEPT);
    await pair.send("in flight");
    expect((await pair.client.next("publish")).text).toBe("in flight");
    const direct = await connectDevice(server, version, pair.sub, KEPT);
    expect(direct.connack.sessionPresent).toBe(true);
    expect(await direct.receive()).toMatchObject({ topic: pair.topic, text: "in flight", qos: 1 });
    await pair.send("its own now");
    expect(await direct.receive()).toMatchObject({ topic: pair.topic, text: "its own now", qos: 1 });
    expect(await pair.client.receive()).toMatchObject({ topic: `/ext/error/${GPK}/${pair.gate}` });
    await pair.client.expectNothing();
    // And back, with what came in between.
    await direct.disconnect();
    await pair.send("two");
    await pair.login("false");
    await pair.expectTexts("two");
  });

  test("[GW-4] [SESS-1] one that connects itself for a clean session ends what its gateway held for it", async () => {
    const pair = await new Pair(version).begin("false", KEPT);
    await pair.send("in flight");
    await pair.client.next("publish");
    const direct = await connectDevice(server, version, pair.sub, { clean: true });
    expect(direct.connack.sessionPresent).toBe(false);
    await pair.send("one");
    await direct.expectNothing();
    expect((await pair.client.receive()).topic).toBe(`/ext/error/${GPK}/${pair.gate}`);
    await direct.disconnect();
    await pair.login("false");
    await pair.send("two");
    await pair.client.expectNothing();
  });

  test("[GW-3] nothing of a login with cleanSession true comes along when it connects itself", async () => {
    const pair = await new Pair(version).begin("true");
    const direct = await connectDevice(server, version, pair.sub, KEPT);
    expect(direct.connack.sessionPresent).toBe(false);
    await pair.send("one");
    await direct.expectNothing();
  });

  test.each([
    ["false", ["waiting", "live"]],
    ["true", []],
  ] as const)(
    "[GW-3] [SESS-0] a gateway logs in, cleanSession %s, one that is connected itself",
    async (cleanSession, texts) => {
      const pair = await new Pair(version).open();
      await pair.relate();
      const direct = await connectDevice(server, version, pair.sub, KEPT);
      await direct.subscribe([{ filter: pair.topic, qos: 1 }]);
      await pair.send("waiting");
      await direct.next("publish");
      await pair.login(cleanSession);
      await direct.expectEnd(0x8e);
      await pair.send("live");
      await pair.expectTexts(...texts);
    },
  );

  test("[GW-4] [SESS-0] its topology moves to another gateway: what is kept for it is there", async () => {
    const pair = await new Pair(version).begin("false");
    const first = pair.client;
    const { gate } = pair;
    pair.gate = `gate-${nextName()}`;
    await pair.open();
    const named = { productKey: PK, deviceName: pair.sub };
    await first.publish(
      `/sys/${GPK}/${gate}/thing/topo/delete`,
      JSON.stringify({ id: "9", params: [named] }),
    );
    await pair.send("one");
    await pair.relate();
    await pair.login("false");
    await pair.send("two");
    await pair.expectTexts("one", "two");
  });

  test("[GW-3] what is the gateway's own stays with the gateway", async () => {
    const pair = await new Pair(version).begin("false", KEPT);
    const own = `/${GPK}/gate-${pair.sub}/user/get`;
    await pair.client.subscribe([{ filter: own, qos: 1 }]);
    await pair.lose();
    await server.broker.publish({ topic: own, payload: "of the gateway", qos: 1 });
    await pair.send("of the sub-device");
    await pair.open(KEPT);
    expect(await pair.client.receive()).toMatchObject({ topic: own, text: "of the gateway" });
    await pair.client.expectNothing();
    await pair.login("false");
    await pair.expectTexts("of the sub-device");
  });

  test("[GW-3] several at one gateway: each finds its own, and only those that asked for it", async () => {
    const first = await new Pair(version).begin("false");
    const others = [new Pair(version), new Pair(version)];
    for (const [i, other] of others.entries()) {
      other.client = first.client;
      other.gate = first.gate;
      await other.relate();
      await other.login(i === 0 ? "false" : "true");
      await first.client.subscribe([{ filter: other.topic, qos: 1 }]);
    }
    await first.lose();
    for (const pair of [first, ...others]) await pair.send(`for ${pair.sub}`);
    await first.open();
    for (const other of others) other.client = first.client;
    await others[1].login("false");
    await first.client.expectNothing();
    await others[0].login("false");
    await others[0].expectTexts(`for ${others[0].sub}`);
    await first.login("false");
    await first.expectTexts(`for ${first.sub}`);
  });

  test("[GW-3] [QOS-2] in 3.x the publisher decides what is kept, whatever QoS was subscribed", async () => {
    const pair = await new Pair(version).begin("false", {}, 0);
    await pair.logout();
    await pair.send("QoS 1");
    await pair.login("false");
    if (version === 5) await pair.client.expectNothing();
    else await pair.expectTexts("QoS 1");
  });

  test("[GW-3] a restart of the broker takes nothing away: logged out, or logged in when it stopped", async () => {
    const directory = mkdtempSync(join(tmpdir(), "gateway-kept-"));
    let store = await openStore({ directory, level: "process" });
    const again = new TestServer(() => ({ ...options, store }));
    const restart = async (): Promise<void> => {
      await again.stop();
      store = await openStore({ directory, level: "process" });
      await again.start();
    };
    try {
      await again.start();
      const pair = await new Pair(version, again).begin("false");
      await pair.logout();
      await pair.send("one", "two");
      await restart();
      await pair.send("three");
      await pair.open();
      await pair.login("false");
      await pair.expectTexts("one", "two", "three");
      await pair.send("four");
      await pair.expectTexts("four");
      await restart();
      await pair.send("five");
      await pair.open();
      await pair.login("false");
      await pair.expectTexts("five");
    } finally {
      await again.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
