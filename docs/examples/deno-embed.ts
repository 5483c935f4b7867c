// The same broker inside a Deno program. deno.json maps "millrace" to this project's build; elsewhere add
// "millrace": "npm:millrace" to the import map.
// In this project: npm run build && npx deno run --allow-net --allow-read --allow-env docs/examples/deno-embed.ts
import { Buffer } from "node:buffer";
import { createBroker } from "millrace";
import mqtt from "mqtt";

const broker = await createBroker({ listeners: [{ port: 0 }] });
const url = broker.listeners[0].url.replace("tcp:", "mqtt:");
console.log(`listening on ${url}`);

const stop = await broker.subscribe("greetings/#", async ({ topic, payload }) => {
  console.log(`server received ${topic}: ${Buffer.from(payload)}`);
  await broker.publish({ topic: "answers/hello", payload: "hello, client", qos: 1 });
});

const client = await mqtt.connectAsync(url, { protocolVersion: 5 });
const answered = new Promise<string>((resolve) => {
  client.once("message", (topic: string, payload: Uint8Array) => resolve(`${topic}: ${payload}`));
});
await client.subscribeAsync("answers/#", { qos: 1 });
await client.publishAsync("greetings/first", "hello, server", { qos: 1 });
console.log(`client received ${await answered}`);

await client.endAsync();
await stop();
await broker.close();
