// Millrace itself, as `npm run build` leaves it.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const manifest = new URL("../../package.json", import.meta.url);

export default {
  name: "millrace",
  tls: true,
  missing: "run `npm run build`",
  version: () => (existsSync(main) ? JSON.parse(readFileSync(manifest, "utf8")).version : undefined),
  command({ port, directory, tls }) {
    const listen = `${tls ? "tls" : "tcp"}://127.0.0.1:${port}`;
    const args = [main, "--profile", "standard", "--listen", listen, "--data", directory];
    // Without a certificate of its own in the configuration it makes a self-signed one in the data directory.
    return { file: process.execPath, args: [...args, "--log-level", "error"] };
  },
};
