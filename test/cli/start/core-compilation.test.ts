// The executable has V8 compile the whole core before its first message. Needs dist/, in a process of its own.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { RUNTIME } from "../../../src/runtime/runtime.ts";

const module = (path: string): string =>
  JSON.stringify(fileURLToPath(new URL(`../../../dist/${path}`, import.meta.url)));

/** Is route() compiled before it has ever run? */
function compiledBeforeItRuns(prepare: string): string {
  const script = `
    const { compileCoreAtOnce } = await import(${module("cli/start/core-compilation.js")});
    const { instantiate } = await import(${module("core/module.js")});
    ${prepare}
    console.log(%IsUncompiledWasmFunction(instantiate().route) ? "no" : "yes");`;
  const args = ["--allow-natives-syntax", "--input-type=module", "-e", script];
  return execFileSync(process.execPath, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  }).trim();
}

test.skipIf(RUNTIME !== "node")("the core is compiled before it runs, which V8 does not do by itself", () => {
  expect(compiledBeforeItRuns("compileCoreAtOnce();")).toBe("yes");
  expect(compiledBeforeItRuns("")).toBe("no");
});
