// How many PUBLISH packets a second does the host's encoder make from plain objects? Deliveries of the broker do not
// pass here (the core encodes those), packets of handlers and embedders do. Beside mqtt-packet; same bytes required.
import { generate } from "mqtt-packet";
import { measure } from "./harness.mjs";
import { publishOf, samples } from "./samples.mjs";

const BATCH = 1_000;
const encoder = new URL("../../dist/protocol/packet-encoder.js", import.meta.url);

export const title = "encode PUBLISH";

function batch(name, encode) {
  return {
    name,
    operations: BATCH,
    run() {
      let bytes = 0;
      for (let i = 0; i < BATCH; i++) bytes += encode().length;
      return bytes;
    },
  };
}

/** The same packet in the words of Millrace's encoder. */
function ourPacket(sample) {
  const { cmd: _, properties, ...packet } = publishOf(sample);
  if (!properties) return { ...packet, level: sample.level };
  const { userProperties, payloadFormatIndicator, ...others } = properties;
  return {
    ...packet,
    level: sample.level,
    properties: {
      payloadFormatIndicator: payloadFormatIndicator ? 1 : 0,
      ...others,
      userProperties: Object.entries(userProperties),
    },
  };
}

export async function run(options) {
  const { encodePublish } = await import(encoder.href);
  const tasks = samples.flatMap((sample) => {
    const ours = ourPacket(sample);
    const theirs = publishOf(sample);
    const settings = { protocolVersion: sample.level };
    if (encodePublish(ours).length !== generate(theirs, settings).length) {
      throw new Error(`${sample.name}: the encoders disagree on the length`);
    }
    return [
      batch(`millrace, ${sample.name}`, () => encodePublish(ours)),
      batch(`mqtt-packet, ${sample.name}`, () => generate(theirs, settings)),
    ];
  });
  const results = await measure(tasks, options);
  return { results, bounds: [] };
}
