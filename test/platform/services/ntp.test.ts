// The time service.
import { describe, expect, test } from "vitest";
import { ntpService } from "../../../src/platform/services/ntp.ts";
import type { DeviceMessage, PushMessage } from "../../../src/platform/contract/service.ts";

async function ask(payload: string): Promise<PushMessage[]> {
  const pushed: PushMessage[] = [];
  const service = ntpService(
    {
      push: async (_device, message) => {
        pushed.push(message);
        return "sent";
      },
    },
    undefined,
    () => 1_015,
  );
  const device = { productKey: "a1EXAMPLE01", deviceName: "device1" };
  await service.routes[0].handle({ device, payload: Buffer.from(payload), time: 1_010 } as DeviceMessage, []);
  return pushed;
}

describe("[NTP-1] the time service", () => {
  test("texts for texts, numbers for numbers", async () => {
    const [text] = await ask('{"deviceSendTime":"100"}');
    expect(text.topic).toBe("/ext/ntp/a1EXAMPLE01/device1/response");
    expect(text.qos ?? 0).toBe(0);
    expect(JSON.parse(text.payload as string)).toEqual({
      deviceSendTime: "100",
      serverRecvTime: "1010",
      serverSendTime: "1015",
    });
    const [number] = await ask('{"deviceSendTime":100}');
    expect(JSON.parse(number.payload as string)).toEqual({
      deviceSendTime: 100,
      serverRecvTime: 1010,
      serverSendTime: 1015,
    });
  });

  test.each(["12345678901234567890", "-0.5", "1e400"])("a number goes back as it came: %s", async (sent) => {
    const [{ payload }] = await ask(`{"a":{"deviceSendTime":1},"deviceSendTime":${sent}}`);
    expect(payload).toBe(`{"deviceSendTime":${sent},"serverRecvTime":1010,"serverSendTime":1015}`);
  });

  test.each(["", "x", "[]", "{}", "null", '{"deviceSendTime":{}}', "[".repeat(10_000)])(
    "no answer to %.20s",
    async (payload) => expect(await ask(payload)).toEqual([]),
  );
});
