// A shared message whose member is gone belongs to its own group for ever, whatever its number is given to later.
import { expect, test } from "vitest";
import { useServer } from "../../support/server.ts";

const server = useServer({ sysInterval: 0 });

test("a group that ended hands nothing to the group that got its number", async () => {
  const first = await server.connect(5);
  await first.subscribe([{ filter: "$share/a/private", qos: 1 }]);
  await server.broker.publish({ topic: "private", payload: "x", qos: 1 });
  await first.next("publish");
  await first.unsubscribe("$share/a/private");
  const other = await server.connect(5);
  await other.subscribe([{ filter: "$share/b/public", qos: 1 }]);
  await first.disconnect();
  await other.expectNothing();
});

test("a member that has left its group hands its message to those who stayed", async () => {
  const first = await server.connect(5);
  await first.subscribe([{ filter: "$share/a/left", qos: 1 }]);
  await server.broker.publish({ topic: "left", payload: "x", qos: 1 });
  await first.next("publish");
  const second = await server.connect(5);
  await second.subscribe([{ filter: "$share/a/left", qos: 1 }]);
  await first.unsubscribe("$share/a/left");
  await first.disconnect();
  expect(await second.next("publish")).toMatchObject({ topic: "left", text: "x" });
});
