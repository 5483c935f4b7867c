// Millrace itself, as `npm run build` leaves it, at each level of durability and with each profile.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const manifest = new URL("../../package.json", import.meta.url);

const millrace = (name, durability) => ({
  name,
  tls: true,
  missing: "run `npm run build`",
  version: () => (existsSync(main) ? JSON.parse(readFileSync(manifest, "utf8")).version : undefined),
  command({ port, directory, tls }) {
    const listen = `${tls ? "tls" : "tcp"}://127.0.0.1:${port}`;
    const args = [main, "--profile", "standard", "--listen", listen, "--data", directory];
    if (tls) {
      const config = `${directory}/millrace.json`;
      writeFileSync(config, JSON.stringify({ tls: { cert: tls.certFile, key: tls.keyFile } }));
      args.push("--config", config);
    }
    return { file: process.execPath, args: [...args, "--durability", durability, "--log-level", "error"] };
  },
});

/** Both profiles on the devices `copyTo(directory)` puts there; rates are lifted: they would be all that is measured. */
export const profiles = (copyTo) =>
  ["platform", "standard"].map((profile) => ({
    ...millrace(profile, "none"),
    command({ port, directory }) {
      copyTo(directory);
      const args = [main, "--profile", profile, "--listen", `tcp://127.0.0.1:${port}`, "--data", directory];
      if (profile === "platform") args.push("--rate-limits", "off");
      return { file: process.execPath, args: [...args, "--durability", "none", "--log-level", "error"] };
    },
  }));

export default millrace("millrace", "none");
export const levels = [
  millrace("memory", "none"),
  millrace("process", "process"),
  millrace("power", "power"),
];
