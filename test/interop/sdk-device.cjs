// A device, or a gateway with sub-devices, on one of the vendor's Node SDKs, unmodified, as a process of its own. Takes its
// identity from DEVICE (JSON), KIND and SDK from the environment, says what happens in lines of JSON on standard output,
// and takes commands the same way on standard input.
const iot = require(process.env.SDK ?? "alibabacloud-iot-device-sdk");

const config = JSON.parse(process.env.DEVICE);
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const thing = iot[process.env.KIND ?? "device"](config);
/** Sub-devices that are logged in, by DeviceName. */
const subDevices = new Map();
const named = (deviceName) => subDevices.get(deviceName) ?? thing;

thing.on("connect", () => say({ event: "connect" }));
// The SDK hands on the arguments of all events but "message" as one array.
thing.on("error", ([error]) => say({ event: "error", code: error.code, text: String(error.message) }));
thing.on("message", (topic, payload) => say({ event: "message", topic, payload: payload.toString() }));
// Names the older one does not have are left out.
thing.onProps?.((message) => say({ event: "props", params: message.params }));
thing.onConfig?.((message) => say({ event: "config", params: message.params }));
thing.onShadow((message) => say({ event: "shadow", message }));

const replied = (event) => (reply) => say({ event, reply });
const commands = {
  subscribe: ({ topic }) =>
    thing.subscribe(topic, { qos: 1 }, (error, granted) =>
      say({ event: "subscribed", topic, granted, error }),
    ),
  publish: ({ topic, payload, qos }) =>
    thing.publish(topic, payload, { qos }, (error) => say({ event: "published", error })),
  postProps: ({ params, of }) => named(of).postProps(params, replied("postProps")),
  postEvent: ({ name, params, of }) => named(of).postEvent(name, params, replied("postEvent")),
  postTags: ({ params }) => thing.postTags(params, replied("postTags")),
  deleteTags: ({ params }) => thing.deleteTags(params, replied("deleteTags")),
  getConfig: () => thing.getConfig(replied("getConfig")),
  getShadow: () => thing.getShadow(),
  postShadow: ({ reported }) => thing.postShadow(reported),
  deleteShadow: ({ keys }) => thing.deleteShadow(keys),
  /** Answers each call of the service with `data`; `mode` is the SDK's word for a synchronous call or another one. */
  onService: ({ name, data, mode, of }) =>
    named(of).onService(name, (message, reply) => {
      say({ event: "service", name, message });
      reply?.({ id: message.id, code: 200, data }, mode);
    }),
  addTopo: ({ devices }) => thing.addTopo(devices, replied("addTopo")),
  getTopo: () => thing.getTopo(replied("getTopo")),
  removeTopo: ({ devices }) => thing.removeTopo(devices, replied("removeTopo")),
  registerSubDevice: ({ devices }) => thing.regiestSubDevice(devices, replied("registerSubDevice")),
  login: ({ device }) => {
    const subDevice = thing.login(device, replied("login"));
    subDevices.set(device.deviceName, subDevice);
    // A refused login is an event of the sub-device too.
    subDevice.on("error", () => {});
    subDevice.onProps?.((message) => say({ event: "props", of: device.deviceName, params: message.params }));
    subDevice.onShadow((message) => say({ event: "shadow", of: device.deviceName, message }));
  },
  logout: ({ device }) => thing.logout(device, replied("logout")),
  end: () => thing.end(false, () => process.exit(0)),
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
