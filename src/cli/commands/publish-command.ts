// `millrace publish`: one message from the server's side. Succeeds only when the running broker has confirmed it.
import { resolve } from "node:path";
import type { Properties } from "../../protocol/properties.ts";
import type { PublishArguments } from "../arguments/arguments.ts";
import { publishThroughControl } from "../control/control-client.ts";
import { DEFAULTS } from "../config/defaults.ts";

export async function runPublish(given: PublishArguments): Promise<void> {
  const { contentType, correlationData, messageExpiryInterval, payloadFormatIndicator, responseTopic } =
    given;
  const properties: Properties = {
    ...(payloadFormatIndicator === undefined ? {} : { payloadFormatIndicator }),
    ...(messageExpiryInterval === undefined ? {} : { messageExpiryInterval }),
    ...(contentType === undefined ? {} : { contentType }),
    ...(responseTopic === undefined ? {} : { responseTopic }),
    ...(correlationData === undefined ? {} : { correlationData }),
    ...(given.userProperties.length === 0 ? {} : { userProperties: given.userProperties }),
  };
  await publishThroughControl(resolve(given.data ?? DEFAULTS.data), {
    topic: given.topic,
    payload: Buffer.from(given.payload),
    qos: given.qos,
    retain: given.retain,
    properties,
  });
}
