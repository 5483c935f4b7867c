// The forms of posts: bare values and stamped ones, lists, packs, and what none of them is.
import { expect, test } from "vitest";
import {
  checkCounts,
  readBatchPost,
  readEventPost,
  readHistoryPost,
  readPackPost,
  readPropertyPost,
} from "../../../../src/platform/services/thing-model/posts.ts";

const device = { productKey: "a1EXAMPLE01", deviceName: "device1" };
const identity = { productKey: "a1EXAMPLE01", deviceName: "device2" };
const NOW = 1_000;

test("a value is bare, or stamped with its time; a struct that has a value among other fields is bare", () => {
  const post = (value: unknown) => readPropertyPost(device, { a: value }, NOW);
  const one = (value: unknown, time: number) => ({
    device,
    properties: [{ id: "a", value, time }],
    events: [],
  });
  expect(post(5)).toEqual(one(5, NOW));
  expect(post({ value: 5, time: 7 })).toEqual(one(5, 7));
  expect(post({ value: 5 })).toEqual(one(5, NOW));
  expect(post({ value: 5, unit: "m" })).toEqual(one({ value: 5, unit: "m" }, NOW));
  expect(post([1, 2])).toEqual(one([1, 2], NOW));
  for (const time of ["7", -1, 1.5, 1e99, null]) expect(post({ value: 5, time })).toEqual(one(5, NOW));
});

test("events: parameters bare or stamped", () => {
  const post = (params: unknown, id = "e") => readEventPost(device, id, params, NOW);
  const one = (value: unknown, time: number) => ({
    device,
    properties: [],
    events: [{ id: "e", value, time }],
  });
  expect(post({ ErrorCode: 1 })).toEqual(one({ ErrorCode: 1 }, NOW));
  expect(post({ value: { ErrorCode: 1 }, time: 3 })).toEqual(one({ ErrorCode: 1 }, 3));
  expect(post({})).toEqual(one({}, NOW));
  for (const bad of [undefined, [], "x"]) expect(post(bad)).toBe(460);
  expect(post({}, "x".repeat(129))).toBe(460);
});

test("batches: lists of stamped values; a list that is itself the value is one", () => {
  const read = readBatchPost(
    device,
    {
      properties: {
        a: [
          { value: 1, time: 1 },
          { value: 2, time: 2 },
        ],
        b: { value: [1, 2], time: 3 },
        c: [5],
        d: [],
      },
    },
    NOW,
  );
  expect(read).toEqual({
    device,
    events: [],
    properties: [
      { id: "a", value: 1, time: 1 },
      { id: "a", value: 2, time: 2 },
      { id: "b", value: [1, 2], time: 3 },
      { id: "c", value: [5], time: NOW },
      { id: "d", value: [], time: NOW },
    ],
  });
});

test("packs and histories name whose data it is; what has no name, or one that is no level of a topic, is 460", () => {
  expect(
    readPackPost(
      device,
      { properties: { a: 1 }, subDevices: [{ identity, events: { e: { value: {} } } }] },
      NOW,
    ),
  ).toEqual([
    { device, properties: [{ id: "a", value: 1, time: NOW }], events: [] },
    { device: identity, properties: [], events: [{ id: "e", value: {}, time: NOW }] },
  ]);
  expect(
    readHistoryPost(
      [{ identity, properties: [{ a: { value: 1, time: 2 } }, { a: { value: 2, time: 3 } }] }],
      NOW,
    ),
  ).toEqual([
    {
      device: identity,
      events: [],
      properties: [
        { id: "a", value: 1, time: 2 },
        { id: "a", value: 2, time: 3 },
      ],
    },
  ]);
  for (const bad of [
    {},
    { identity: 5 },
    { identity: { productKey: "a1", deviceName: "a/b1" } },
    { identity, properties: 5 },
    { identity, properties: [5] },
    { identity, events: { "a/b": {} } },
    { identity, events: { "#": {} } },
    { identity, properties: { ["x".repeat(129)]: 1 } },
  ]) {
    expect(readPackPost(device, { subDevices: [bad] }, NOW)).toBe(460);
    expect(readHistoryPost([bad], NOW)).toBe(460);
  }
  for (const bad of [undefined, 5, { subDevices: 5 }, { properties: "x" }])
    expect(readPackPost(device, bad, NOW)).toBe(460);
});

test("[LIMIT-7] counts are over the whole message; the sender is no sub-device", () => {
  const limits = { maxPostProperties: 3, maxPostEvents: 2, maxPostSubDevices: 1 };
  const data = (owner: typeof device, properties: number, events: number) => ({
    device: owner,
    properties: Array.from({ length: properties }, () => ({ id: "a", value: 1, time: 1 })),
    events: Array.from({ length: events }, () => ({ id: "e", value: {}, time: 1 })),
  });
  const check = (...all: ReturnType<typeof data>[]) => checkCounts(all, device, limits);
  expect(check(data(device, 1, 1), data(identity, 2, 1))).toBeUndefined();
  expect(check(data(device, 2, 0), data(identity, 2, 0))).toBe(6106);
  expect(check(data(device, 0, 1), data(identity, 0, 2))).toBe(6356);
  expect(check(data(identity, 1, 0), data(identity, 1, 0))).toBe(6357);
  expect(check(data(device, 1, 0), data(device, 1, 0))).toBeUndefined();
});
