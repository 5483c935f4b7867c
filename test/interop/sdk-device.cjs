// A device on the official Node SDK, unmodified, as a process of its own. Takes its identity from DEVICE (JSON), says
// what happens in lines of JSON on standard output, and takes commands the same way on standard input.
const iot = require("alibabacloud-iot-device-sdk");

const config = JSON.parse(process.env.DEVICE);
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const device = iot.device(config);

device.on("connect", () => say({ event: "connect" }));
// The SDK hands on the arguments of all events but "message" as one array.
device.on("error", ([error]) => say({ event: "error", code: error.code, text: String(error.message) }));
device.on("message", (topic, payload) => say({ event: "message", topic, payload: payload.toString() }));
device.onProps((message) => say({ event: "props", params: message.params }));

const commands = {
  subscribe: ({ topic }) =>
    device.subscribe(topic, { qos: 1 }, (error, granted) =>
      say({ event: "subscribed", topic, granted, error }),
    ),
  publish: ({ topic, payload, qos }) =>
    device.publish(topic, payload, { qos }, (error) => say({ event: "published", error })),
  postProps: ({ params }) => device.postProps(params, (reply) => say({ event: "postProps", reply })),
  end: () => device.end(false, () => process.exit(0)),
};

let rest = "";
process.stdin.on("data", (chunk) => {
  rest += chunk;
  const lines = rest.split("\n");
  rest = lines.pop();
  for (const line of lines) {
    const command = JSON.parse(line);
    commands[command.do](command);
  }
});
process.stdin.on("end", () => process.exit(0));
