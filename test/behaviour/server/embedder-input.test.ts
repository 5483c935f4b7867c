// What an embedder hands in is checked like what comes from a client: nothing may reach the core that it has no room for.
import { expect, test } from "vitest";
import { useServer } from "../../support/server.ts";

const server = useServer({ sysInterval: 0 });
const userProperties = (count: number): [string, string][] =>
  Array.from({ length: count }, (_, i) => [`key${i}`, "v".repeat(60_000)]);

test("properties longer than the core takes are refused, others arrive whole", async () => {
  const client = await server.connect(5);
  await client.subscribe("t");
  const big = { topic: "t", payload: "x", properties: { userProperties: userProperties(12) } };
  await expect(server.broker.publish(big)).rejects.toThrow(RangeError);
  await client.expectNothing();
  await server.broker.publish({ ...big, properties: { userProperties: userProperties(3) } });
  expect((await client.next("publish")).properties.userProperty).toEqual(userProperties(3));
  expect(server.broker.metrics()["errors.trap"]).toBe(0);
});

test("a shared subscription without a filter is no subscription", async () => {
  await expect(server.broker.subscribe("$share/name", () => {})).rejects.toThrow(TypeError);
  await expect(server.broker.subscribe("$share/name/", () => {})).rejects.toThrow(TypeError);
  await expect(server.broker.subscribe("$share//t", () => {})).rejects.toThrow(TypeError);
});
