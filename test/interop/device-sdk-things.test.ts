// The official Node SDK as a device, unmodified, with the platform's answers to what it posts and asks: every callback of
// it is called with the reply it waits for.
import { expect } from "vitest";
import { PK } from "../platform/signed-device.ts";
import { ours } from "../support/server.ts";
import { DN, FENCE, ID, useSdkDevice } from "./sdk-server.ts";

const { server, devices, device } = useSdkDevice();

ours("posts of properties and events, tags and a configuration: each callback has its reply", async () => {
  const one = await device();
  const { things } = server.broker;
  one.command({ do: "postProps", params: { LightSwitch: 1, Position: { latitude: 5 } } });
  expect(await one.next("postProps")).toMatchObject({
    reply: { code: 200, method: "thing.event.property.post" },
  });
  expect(things.properties(ID)).toMatchObject({
    LightSwitch: { value: 1 },
    Position: { value: { latitude: 5 } },
  });

  one.command({ do: "postEvent", name: "Error", params: { ErrorCode: 1 } });
  expect(await one.next("postEvent")).toMatchObject({
    reply: { code: 200, method: "thing.event.Error.post" },
  });

  one.command({ do: "postTags", params: [{ attrKey: "room", attrValue: "a1" }] });
  expect(await one.next("postTags")).toMatchObject({ reply: { code: 200 } });
  expect(devices.findDevice(PK, DN)?.tags).toContainEqual(["room", "a1"]);
  one.command({ do: "deleteTags", params: ["room"] });
  expect(await one.next("deleteTags")).toMatchObject({ reply: { code: 200 } });
  expect(devices.findDevice(PK, DN)?.tags).toEqual([]);

  const config = await things.setConfig(PK, { url: "https://files.example/c.json", content: "{}" });
  one.command({ do: "getConfig" });
  expect(await one.next("getConfig")).toMatchObject({ reply: { code: 200, data: config } });
  expect(await things.pushConfig(ID)).toBe("sent");
  expect(await one.next("config")).toMatchObject({ params: config });
});

ours("settings and services of the server's side reach the SDK's handlers", async () => {
  const one = await device();
  const { things } = server.broker;
  await things.setProperties(ID, { LightSwitch: 0 });
  expect(await one.next("props")).toMatchObject({ params: { LightSwitch: 0 } });

  one.command({ do: "onService", name: "measure", data: { heat: 5 }, mode: "sync" });
  one.command({ do: "subscribe", topic: FENCE });
  await one.next("subscribed");
  const called = await things.invoke(ID, "measure", { place: 1 }, { sync: true });
  expect(called).toMatchObject({ code: "SUCCESS", answer: { code: 200, data: { heat: 5 } } });
  expect(await one.next("service")).toMatchObject({ message: { params: { place: 1 } } });
});

ours("an asynchronous call reaches the SDK, and its answer goes up", async () => {
  const one = await device();
  const reader = server.broker.upstream({ productKey: PK });
  try {
    one.command({ do: "onService", name: "restart", data: { at: 1 }, mode: "async" });
    one.command({ do: "subscribe", topic: FENCE });
    await one.next("subscribed");
    const { requestId } = await server.broker.things.invoke(ID, "restart", { delay: 1 });
    expect(await one.next("service")).toMatchObject({ name: "restart", message: { id: requestId } });
    for await (const { topic, payload } of reader) {
      if (!topic.endsWith("/thing/service/restart_reply")) continue;
      expect(JSON.parse(payload.toString())).toMatchObject({ id: requestId, code: 200, data: { at: 1 } });
      return;
    }
    throw new Error("the feed has ended");
  } finally {
    reader.close();
  }
});
