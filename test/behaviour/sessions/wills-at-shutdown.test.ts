// Whether Wills fire when the server shuts down is an option; a persistent in-process subscriber sees them.
import { expect } from "vitest";
import { ours, TestServer } from "../../support/server.ts";

ours.each([
  [true, ["gone"]],
  [false, []],
] as const)("willsAtShutdown %s", async (willsAtShutdown, expected) => {
  const server = new TestServer({ willsAtShutdown });
  await server.start();
  const seen: string[] = [];
  await server.broker.subscribe(
    "will/#",
    (message) => void seen.push(Buffer.from(message.payload).toString()),
  );
  await server.connect(5, { will: { topic: "will/a", payload: "gone" } });
  await server.broker.close();
  expect(seen).toEqual(expected);
  await server.stop();
});
