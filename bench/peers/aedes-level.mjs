// Aedes with its LevelDB persistence. Not a dependency of this project: install it in a folder of its own and name that.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const server = fileURLToPath(new URL("aedes-level-server.mjs", import.meta.url));

function versionIn(folder, name) {
  const manifest = path.join(folder, "node_modules", name, "package.json");
  return existsSync(manifest) ? JSON.parse(readFileSync(manifest, "utf8")).version : undefined;
}

export default {
  name: "aedes-level",
  tls: false,
  missing: "npm i aedes aedes-persistence-level level in a folder, named with --aedes-level or AEDES_LEVEL",
  version({ aedesLevel }) {
    if (!aedesLevel) return undefined;
    const [broker, persistence] = ["aedes", "aedes-persistence-level"].map((n) => versionIn(aedesLevel, n));
    return broker && persistence && `${broker} with aedes-persistence-level ${persistence}`;
  },
  command: ({ port, directory, options }) => ({
    file: process.execPath,
    args: [server, String(port), path.join(directory, "level"), path.resolve(options.aedesLevel)],
  }),
};
