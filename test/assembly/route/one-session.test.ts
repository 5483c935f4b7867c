// What the server itself has to say to one session [SUB-5]: with a subscription, without one, and never to anybody else.
import { describe, expect, test } from "vitest";
import * as abi from "../../../src/core/generated/abi.ts";
import { BUILDS, RouteCore } from "./core.ts";

describe.each(BUILDS)("%s build", (build) => {
  function setup() {
    const core = new RouteCore(build);
    const [device, other] = [core.open({ version: 5 }), core.open({ version: 5 })];
    core.subscribe(other, "#", 2);
    const told = (slot: number) => core.take(slot).filter((packet) => packet.type === "publish");
    return { core, device, other, told };
  }

  test("one that has subscribed nothing gets what is implied, at the publisher's QoS, and nothing else", () => {
    const { core, device, other, told } = setup();
    core.tell(device, false, "sys/reply", "unasked");
    expect(core.word(abi.H_HITS)).toBe(0);
    expect(told(device)).toEqual([]);
    core.tell(device, true, "sys/reply", "zero");
    core.tell(device, true, "sys/reply", "one", 1);
    expect(core.word(abi.H_HITS)).toBe(1);
    expect(told(device)).toMatchObject([
      { qos: 0, topic: "sys/reply" },
      { qos: 1, topic: "sys/reply" },
    ]);
    expect(told(other)).toEqual([]);
  });

  test("one that has subscribed gets it once, implied or not, with its identifiers", () => {
    const { core, device, other, told } = setup();
    core.subscribe(device, "sys/+", 0, 7);
    core.subscribe(device, "sys/#", 1, 9);
    core.tell(device, false, "sys/reply", "a", 1);
    core.tell(device, true, "sys/reply", "b", 1);
    const [a, b, ...more] = told(device);
    expect(more).toEqual([]);
    for (const packet of [a, b]) {
      const ids = (packet as { properties?: { subscriptionIdentifiers?: number[] } }).properties;
      expect(JSON.stringify(ids)).toMatch(/7.*9|9.*7/);
      expect(packet).toMatchObject({ qos: 1 });
    }
    expect(told(other)).toEqual([]);
  });

  test("a subscription of QoS 0 gives no more than QoS 0 unless the message is implied", () => {
    const { core, device, told } = setup();
    core.subscribe(device, "sys/reply", 0);
    core.tell(device, false, "sys/reply", "a", 1);
    core.tell(device, true, "sys/reply", "b", 1);
    expect(told(device)).toMatchObject([{ qos: 0 }, { qos: 1 }]);
  });

  test("an absent session gets QoS 1 into its queue and no QoS 0", () => {
    const { core, device } = setup();
    core.core.setSlotFlags(device, abi.SLOT_PERSISTENT, 0);
    core.core.goOffline(device);
    core.tell(device, true, "sys/reply", "zero");
    core.tell(device, true, "sys/reply", "one", 1);
    expect(core.takeStored()).toMatchObject([{ slot: device, qos: 1, packetId: 0, payload: "one" }]);
  });
});
