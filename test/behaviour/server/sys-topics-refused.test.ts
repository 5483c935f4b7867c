// $SYS figures that cannot be kept must not end the process: clients can fill the retained store.
import { expect, test } from "vitest";
import { TestServer } from "../../support/server.ts";

test("figures over the limit of retained messages are dropped in silence", async () => {
  const rejections: unknown[] = [];
  const note = (error: unknown): void => void rejections.push(error);
  process.on("unhandledRejection", note);
  const server = new TestServer({ limits: { retainedMessages: 1 } });
  try {
    await server.start();
    const client = await server.connect(5);
    await client.fence();
    expect(server.broker.metrics()["retained.count"]).toBe(1);
    expect(rejections).toEqual([]);
  } finally {
    await server.stop();
    process.off("unhandledRejection", note);
  }
});
