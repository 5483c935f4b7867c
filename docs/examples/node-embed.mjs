// A broker inside a Node program: server-side subscription and publication, and an MQTT.js client that takes part.
// In this project: npm run build && node docs/examples/node-embed.mjs
import { createBroker } from "millrace";
import mqtt from "mqtt";

// "standard" is the default profile of embedded brokers; port 0 lets the system choose one.
const broker = await createBroker({ listeners: [{ port: 0 }] });
const url = broker.listeners[0].url.replace("tcp:", "mqtt:");
console.log(`listening on ${url}`);

// What clients publish below greetings/ comes here too; the answer goes to every subscriber.
const stop = await broker.subscribe("greetings/#", async ({ topic, payload }) => {
  console.log(`server received ${topic}: ${Buffer.from(payload)}`);
  await broker.publish({
    topic: "answers/hello",
    payload: "hello, client",
    qos: 1,
    properties: { contentType: "text/plain", userProperties: [["from", "server"]] },
  });
});

const client = await mqtt.connectAsync(url, { protocolVersion: 5 });
const answered = new Promise((resolve) => {
  client.once("message", (topic, payload, packet) => resolve({ topic, payload, properties: packet.properties }));
});
await client.subscribeAsync("answers/#", { qos: 1 });
await client.publishAsync("greetings/first", "hello, server", { qos: 1 });

const { topic, payload, properties } = await answered;
console.log(`client received ${topic}: ${payload}, ${properties.contentType}, from ${properties.userProperties.from}`);

await client.endAsync();
await stop();
await broker.close();
