// The time service [NTP-1]: answers a device with the server's clock. Keeps nothing.
import { INVALID_JSON, isObject, numberText, own, parseJson } from "../shared/json.ts";
import type { DeviceMessage, Devices, Service } from "../contract/service.ts";

export function ntpService(
  devices: Pick<Devices, "push">,
  malformed: (message: DeviceMessage) => void = () => {},
  now: () => number = Date.now,
): Service {
  return {
    routes: [
      {
        pattern: "/ext/ntp/{pk}/{dn}/request",
        consumes: true,
        async handle(message) {
          const { device, payload, time, traceId } = message;
          const request = parseJson(payload, 4);
          const sent =
            request === INVALID_JSON || !isObject(request) ? undefined : own(request, "deviceSendTime");
          if (typeof sent !== "string" && typeof sent !== "number") {
            malformed(message); // no answer
            return;
          }
          // Texts for texts, numbers for numbers.
          const like = (ms: number): string | number => (typeof sent === "number" ? ms : String(ms));
          const rest = JSON.stringify({ serverRecvTime: like(time), serverSendTime: like(now()) });
          const answer = `{"deviceSendTime":${echoOf(sent, payload)},${rest.slice(1)}`;
          const topic = `/ext/ntp/${device.productKey}/${device.deviceName}/response`;
          await devices.push(device, { topic, payload: answer, traceId }, "declared");
        },
      },
    ],
  };
}

/** As it came: a number may hold more than a number of this language does. */
function echoOf(sent: string | number, payload: Uint8Array): string {
  const text = JSON.stringify(sent);
  return Number.isSafeInteger(sent) ? text : (numberText(payload, "deviceSendTime") ?? text);
}
