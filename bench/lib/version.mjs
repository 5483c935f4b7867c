// Asks programs and packages for their version; `undefined` means: not installed.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

/** First match of `pattern` in what `file args` prints, whatever its exit status. */
export function programVersion(file, args, pattern) {
  const result = spawnSync(file, args, { encoding: "utf8" });
  if (result.error) return undefined;
  return pattern.exec(`${result.stdout}\n${result.stderr}`)?.[1];
}

export function packageVersion(name) {
  const require = createRequire(import.meta.url);
  for (const folder of require.resolve.paths(name) ?? []) {
    try {
      return JSON.parse(readFileSync(`${folder}/${name}/package.json`, "utf8")).version;
    } catch {
      // not in this folder: look in the next one up
    }
  }
  return undefined;
}
