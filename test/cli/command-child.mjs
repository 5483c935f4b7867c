// Runs commands of the built executable one after another, each as dist/cli/main.js would in a process of its own: what it
// prints is collected, and its standard input is what came with it. Started by command-process.ts.
import { Readable } from "node:stream";
import { runCommandLine } from "../../dist/cli/commands.js";

let collected = { stdout: [], stderr: [] };
for (const name of ["stdout", "stderr"]) {
  const stream = process[name];
  // Each command listens, and none lives long enough to stop.
  stream.setMaxListeners(0);
  stream.write = (chunk, encoding, done = encoding) => {
    collected[name].push(Buffer.from(chunk));
    if (typeof done === "function") process.nextTick(done);
    return true;
  };
}
const text = (pieces) => Buffer.concat(pieces).toString();

let last = Promise.resolve();
process.on("message", ({ number, args, input }) => {
  last = last.then(async () => {
    collected = { stdout: [], stderr: [] };
    const stdin = Readable.from(input === undefined ? [] : [Buffer.from(input)], { objectMode: false });
    Object.defineProperty(process, "stdin", { value: stdin, configurable: true });
    const code = await runCommandLine(args);
    process.send({ number, code, stdout: text(collected.stdout), stderr: text(collected.stderr) });
  });
});
process.on("disconnect", () => process.exit());
