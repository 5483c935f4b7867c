// The official Node SDK as a device, unmodified, with the services of the platform: shadow, synchronous calls, services of
// the device.
import { expect } from "vitest";
import { PK } from "../platform/signed-device.ts";
import { eventually, ours } from "../support/server.ts";
import type { Event } from "./json-process.ts";
import { DN, FENCE, ID, useSdkDevice } from "./sdk-server.ts";

const { server, devices, device } = useSdkDevice();

interface Shadow {
  method: string;
  version?: number;
  payload: { status: string; version?: number; state?: { reported?: object; desired?: object } };
}
const shadowOf = (event: Event): Shadow => event["message"] as Shadow;

ours(
  "[SHADOW-1] [SHADOW-2] reports with milliseconds as version, reads, is told what is desired, deletes",
  async () => {
    const one = await device();
    const before = Date.now();
    one.command({ do: "postShadow", reported: { colour: "red" } });
    const posted = shadowOf(await one.next("shadow"));
    expect(posted).toMatchObject({ method: "reply", payload: { status: "success" } });
    expect(posted.payload.version).toBeGreaterThanOrEqual(before);

    one.command({ do: "getShadow" });
    expect(shadowOf(await one.next("shadow"))).toMatchObject({
      payload: { state: { reported: { colour: "red" } } },
      version: posted.payload.version,
    });

    const version = Date.now();
    const desired = { method: "update", state: { desired: { colour: "blue" } }, version };
    expect(await server.broker.shadows.update(ID, desired)).toMatchObject({ ok: true, pushed: "sent" });
    expect(shadowOf(await one.next("shadow"))).toMatchObject({
      method: "control",
      version,
      payload: { state: { desired: { colour: "blue" } } },
    });

    one.command({ do: "deleteShadow" });
    expect(shadowOf(await one.next("shadow"))).toMatchObject({ payload: { status: "success" } });
    one.command({ do: "getShadow" });
    expect(shadowOf(await one.next("shadow")).payload.state?.reported).toBeUndefined();
  },
);

ours("[RRPC-1] a synchronous call of a service is answered by the SDK, each with its own id", async () => {
  const one = await device();
  one.command({ do: "onService", name: "ask", data: { answer: 42 }, mode: "sync" });
  one.command({ do: "subscribe", topic: FENCE });
  await one.next("subscribed");
  for (const id of ["1", "2", "3"]) {
    const request = { id, version: "1.0.0", method: "thing.service.ask", params: { question: 6 } };
    const answer = await server.broker.rrpc(ID, JSON.stringify(request));
    if (answer.code !== "SUCCESS") throw new Error(answer.code);
    expect(JSON.parse(Buffer.from(answer.payload).toString())).toEqual({
      id,
      code: 200,
      data: { answer: 42 },
    });
    expect(await one.next("service")).toMatchObject({ message: { id, params: { question: 6 } } });
  }
});

ours("[RRPC-4] the SDK does not answer a call it has no service for", async () => {
  await device();
  const request = { id: "1", version: "1.0.0", method: "thing.service.unknown", params: {} };
  const answer = await server.broker.rrpc(ID, JSON.stringify(request), { timeoutMs: 1_000 });
  expect(answer).toMatchObject({ code: "TIMEOUT" });
});

ours("an asynchronous service is called over its own topic and answers on …_reply", async () => {
  const one = await device();
  const topic = `/sys/${PK}/${DN}/thing/service/restart`;
  const replies: string[] = [];
  const stop = await server.broker.subscribe(`${topic}_reply`, ({ payload }) => {
    replies.push(Buffer.from(payload).toString());
  });
  one.command({ do: "onService", name: "restart", data: { at: 1 }, mode: "async" });
  one.command({ do: "subscribe", topic: FENCE });
  await one.next("subscribed");
  const request = { id: "9", version: "1.0.0", method: "thing.service.restart", params: { delay: 1 } };
  await server.broker.publish({ topic, payload: JSON.stringify(request) });
  expect(await one.next("service")).toMatchObject({ name: "restart", message: { id: "9" } });
  await eventually(() => replies.length > 0, "the answer arrives");
  expect(JSON.parse(replies[0])).toEqual({ id: "9", code: 200, data: { at: 1 } });
  await stop();
});

ours("[UP-1] properties, events and tags it posts are answered, each callback once, and kept", async () => {
  const one = await device();
  one.command({ do: "postProps", params: { LightSwitch: 1 } });
  expect(await one.next("postProps")).toMatchObject({
    reply: { code: 200, method: "thing.event.property.post" },
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
  expect(devices.findDevice(PK, DN)?.tags).not.toContainEqual(["room", "a1"]);
  for (const name of ["postProps", "postEvent", "postTags", "deleteTags"])
    expect(one.events.some(({ event }) => event === name)).toBe(false);
});

ours("what the server sets and calls through its own functions comes to the SDK's callbacks", async () => {
  const one = await device();
  one.command({ do: "onService", name: "ask", data: { answer: 42 }, mode: "sync" });
  one.command({ do: "subscribe", topic: FENCE });
  await one.next("subscribed");
  await server.broker.things.setProperties(ID, { LightSwitch: 0 });
  expect(await one.next("props")).toMatchObject({ params: { LightSwitch: 0 } });
  expect(await server.broker.things.invoke(ID, "ask", { question: 6 }, { sync: true })).toMatchObject({
    code: "SUCCESS",
    answer: { code: 200, data: { answer: 42 } },
  });
});

ours("its configuration: asked for, and told", async () => {
  const one = await device();
  const url = "https://files.example.com/config1";
  await server.broker.things.setConfig(PK, { url, size: 16, sha256: "0".repeat(64) });
  const file = { configSize: 16, url, sign: "0".repeat(64), signMethod: "Sha256", getType: "file" };
  one.command({ do: "getConfig" });
  expect(await one.next("getConfig")).toMatchObject({ reply: { code: 200, data: file } });
  await server.broker.things.pushConfig(ID);
  expect(await one.next("config")).toMatchObject({ params: file });
});

ours("[TOPIC-8] its sixteen SUBSCRIBEs are answered, and none of them ends the connection", async () => {
  const filters: { filter: string }[] = [];
  const refused: unknown[] = [];
  const stops = [
    server.broker.on("client.subscribed", (event) => filters.push(event)),
    server.broker.on("client.disconnected", (event) => refused.push(event)),
  ];
  const one = await device();
  for (const stop of stops) stop();
  expect(filters.length).toBeGreaterThanOrEqual(16);
  expect(refused).toEqual([]);
  expect(one.events.some(({ event }) => event === "error")).toBe(false);
});
