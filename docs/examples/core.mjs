// The core alone, without a broker: reads a client's MQTT stream in whatever chunks it comes, and hands each message to
// those whose Topic Filter matches. In this project: npm run build && node docs/examples/core.mjs
import { createCore } from "millrace/core";

const { encode, matcher, parser } = createCore();
const handlers = [];

function on(filter, handler) {
  matcher.subscribe(filter, handlers.push(handler) - 1);
}

let temperature;
on("home/+/temperature", ({ topic, payload }) => {
  temperature = new TextDecoder().decode(payload);
  console.log(`temperature: ${topic} ${temperature}`);
});
on("home/#", ({ topic }) => console.log(`home: ${topic}`));
on("office/#", ({ topic }) => console.log(`office: ${topic}`));

// A stream as a socket would deliver it. Its CONNECT tells the parser that this is 5.0.
const message = {
  type: "publish",
  topic: "home/kitchen/temperature",
  payload: new TextEncoder().encode("21.5"),
  qos: 1,
  packetId: 1,
  retain: false,
  dup: false,
  properties: { contentType: "text/plain" },
};
const bytes = [
  ...encode({ type: "connect", level: 5, clientId: "sensor", cleanStart: true, keepAlive: 60 }, 5),
  ...encode(message, 5),
];

const incoming = parser({ maximumPacketSize: 65_536 });
let matched = 0;
for (let at = 0; at < bytes.length; at += 7) {
  for (const packet of incoming.push(Uint8Array.from(bytes.slice(at, at + 7)))) {
    console.log(`received ${packet.type}`);
    if (packet.type !== "publish") continue;
    for (const id of matcher.match(packet.topic)) {
      handlers[id](packet);
      matched++;
    }
  }
}
console.log(`matched ${matched} of ${matcher.size} filters, ${temperature} degrees`);
