// An empty Client Identifier: the server assigns a unique one [MQTT-3.1.3-6], [MQTT-3.2.2-16].
import { describe, expect, test } from "vitest";
import { unique, useServer } from "../../support/server.ts";

const server = useServer();

describe("MQTT 5.0", () => {
  test("CONNACK carries the Assigned Client Identifier, unique each time [MQTT-3.1.3-7]", async () => {
    const ids = new Set<string>();
    for (let index = 0; index < 20; index++) {
      const client = await server.connect(5, { clientId: "" });
      const id = client.connack.properties.assignedClientIdentifier;
      expect(id).toMatch(/^.+$/);
      ids.add(id ?? "");
    }
    expect(ids.size).toBe(20);
  });

  test("the session can be resumed under the assigned name", async () => {
    const properties = { sessionExpiryInterval: 100 };
    const first = await server.connect(5, { clientId: "", clean: true, properties });
    const clientId = first.connack.properties.assignedClientIdentifier ?? "";
    await first.disconnect();
    const second = await server.connect(5, { clientId, clean: false, properties });
    expect(second.connack.sessionPresent).toBe(true);
    expect(second.connack.properties.assignedClientIdentifier).toBeUndefined();
  });

  test("Clean Start 0 with an empty Client Identifier is accepted", async () => {
    const client = await server.connect(5, { clientId: "", clean: false });
    expect(client.connack.sessionPresent).toBe(false);
    expect(client.connack.properties.assignedClientIdentifier).toBeTruthy();
  });

  test("a name the client chose is not sent back", async () => {
    const client = await server.connect(5, { clientId: unique() });
    expect(client.connack.properties.assignedClientIdentifier).toBeUndefined();
  });
});

describe("MQTT 3.1.1", () => {
  test("two clients without a name do not take each other over", async () => {
    const first = await server.connect(4, { clientId: "" });
    const second = await server.connect(4, { clientId: "" });
    const topic = unique("nameless");
    await first.subscribe(topic);
    await second.publish(topic, "hello");
    expect(await first.next("publish")).toMatchObject({ text: "hello" });
  });
});
