// Aedes, the broker most Node programs use; from this project's development dependencies.
import { fileURLToPath } from "node:url";
import { packageVersion } from "../lib/version.mjs";

const server = fileURLToPath(new URL("aedes-server.mjs", import.meta.url));

export default {
  name: "aedes",
  tls: false,
  missing: "run `npm ci`",
  version: () => packageVersion("aedes"),
  command: ({ port }) => ({ file: process.execPath, args: [server, String(port)] }),
};
