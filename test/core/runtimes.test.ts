// The built core in Node, in Deno, in Bun where it is installed, and where there is none of them: the same lines come out. Needs `npm run build`.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { BUN } from "../support/bun.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const start = async (program: string, ...args: string[]) => {
  const { stdout } = await promisify(execFile)(program, args, { cwd: root, timeout: 25_000 });
  return stdout;
};
const expected = [
  '{"type":"connect","level":5,"clientId":"c","cleanStart":true,"keepAlive":60}',
  '{"type":"publish","topic":"räume/7/temperatur","payload":{"0":50,"1":49,"2":46,"3":53},"qos":1,"retain":false,' +
    '"dup":false,"packetId":12,"properties":{"contentType":"text/plain","userProperties":[["unit","°C"]]}}',
  '{"status":"error","reasonCode":129,"detail":"QoS 3","offset":0}',
  "1 räume/7/temperatur 12",
  "0,1,2",
  "CORE_TOPIC: wildcard in a Topic Name",
];

const runtimes: [name: string, program: string, args: string[]][] = [
  ["Node", process.execPath, ["test/core/smoke-node.mjs"]],
  [
    "Deno, without permissions",
    "node_modules/.bin/deno",
    ["run", "--no-prompt", "--allow-read=dist/core/core.wasm", "test/core/smoke-deno.mjs"],
  ],
  [
    "a realm with nothing of Node",
    process.execPath,
    ["--no-warnings", "--experimental-vm-modules", "test/core/smoke-bare.mjs"],
  ],
];
if (BUN !== undefined) runtimes.push(["Bun", BUN, ["test/core/smoke-node.mjs"]]);

test.each(runtimes)("%s", { timeout: 30_000 }, async (_name, program, args) => {
  const [builtIn, compiled] = JSON.parse(await start(program, ...args));
  expect(builtIn).toEqual(expected);
  expect(compiled).toEqual(expected);
});

test("its types need no types of Node", { timeout: 30_000 }, async () => {
  const strict = [
    "--strict",
    "--exactOptionalPropertyTypes",
    "--noUncheckedIndexedAccess",
    "--skipLibCheck",
    "false",
  ];
  const platform = ["--target", "es2023", "--lib", "es2023,dom", "--module", "nodenext", "--types", ""];
  const output = await start(
    process.execPath,
    "node_modules/typescript/bin/tsc",
    "--ignoreConfig",
    "--noEmit",
    ...strict,
    ...platform,
    "docs/examples/core.ts",
  );
  expect(output).toBe("");
});
