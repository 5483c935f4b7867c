// Sends the reply of an Alink request: to the request's topic with `_reply` behind it, QoS 0, to the device that asked.
import type { DeviceMessage, Devices } from "../../contract/service.ts";
import { type AlinkReply, type AlinkRequest, alinkReply } from "./envelope.ts";

/** `method`: said in the reply where the request named none. */
export async function sendReply(
  devices: Pick<Devices, "push">,
  message: DeviceMessage,
  request: AlinkRequest,
  method: string,
  reply: AlinkReply,
): Promise<void> {
  if (!request.wantsReply) return;
  const payload = alinkReply(request, request.method ?? method, reply);
  // Over the connection that asked: of a sub-device that is its gateway's.
  await devices.push(
    message.device,
    { topic: `${message.topic}_reply`, payload, traceId: message.traceId },
    "declared",
    message.sessionKey,
  );
}
