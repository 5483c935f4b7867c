// Not a broker: a Node process that forwards bytes without parsing them. What it reaches is the most that any
// broker on Node's sockets can reach. It knows two shapes of traffic, see relay-server.mjs.
import { fileURLToPath } from "node:url";

const own = fileURLToPath(new URL("relay-server.mjs", import.meta.url));

export default {
  name: "relay",
  tls: false,
  missing: "it comes with this folder",
  version: () => process.version.slice(1),
  command({ port, options, relayMode }) {
    return { file: process.execPath, args: [options.relay || own, String(port), relayMode] };
  },
};
