// The time service [NTP-1]: answers a device with the server's clock. Keeps nothing.
import { INVALID_JSON, isObject, own, parseJson } from "./json.ts";
import type { Devices, Service } from "./service.ts";

export function ntpService(devices: Pick<Devices, "push">, now: () => number = Date.now): Service {
  return {
    routes: [
      {
        pattern: "/ext/ntp/{pk}/{dn}/request",
        consumes: true,
        async handle({ device, payload, time, traceId }) {
          const request = parseJson(payload, 4);
          if (request === INVALID_JSON || !isObject(request)) return; // no answer
          const sent = own(request, "deviceSendTime");
          if (typeof sent !== "string" && typeof sent !== "number") return;
          // Texts for texts, numbers for numbers.
          const like = (ms: number): string | number => (typeof sent === "number" ? ms : String(ms));
          const answer = { deviceSendTime: sent, serverRecvTime: like(time), serverSendTime: like(now()) };
          const topic = `/ext/ntp/${device.productKey}/${device.deviceName}/response`;
          await devices.push(device, { topic, payload: JSON.stringify(answer), traceId }, "declared");
        },
      },
    ],
  };
}
