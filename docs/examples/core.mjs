// Codec and topic matcher alone, without a broker and without any API of Node.
// In this project: npm run build && node docs/examples/core.mjs
import { createCore } from "millrace/core";

const core = createCore();

// Encode a PUBLISH of MQTT 5.0, then read it back as a stream would bring it.
const bytes = core.encode(
  {
    type: "publish",
    topic: "plant/7/temperature",
    payload: new TextEncoder().encode("21.5"),
    qos: 1,
    packetId: 10,
    retain: false,
    dup: false,
    properties: { contentType: "text/plain", userProperties: [["unit", "°C"]] },
  },
  5,
);
const decoded = core.decode(bytes, { level: 5 });
if (decoded.status !== "packet" || decoded.packet.type !== "publish") throw new Error("no PUBLISH");
const { topic, payload, properties } = decoded.packet;
console.log(`decoded ${topic}: ${new TextDecoder().decode(payload)}, ${properties?.contentType}`);

// Who wants it? Ids are your own numbers.
core.matcher.subscribe("plant/+/temperature", 1);
core.matcher.subscribe("plant/#", 2);
core.matcher.subscribe("plant/8/temperature", 3);
const ids = core.matcher.match(topic).sort();
if (ids.join() !== "1,2") throw new Error(`matched ${ids}`);
console.log(`matched ${ids.join(" and ")}`);
