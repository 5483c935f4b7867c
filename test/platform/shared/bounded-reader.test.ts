// What a slow reader of the upstream feed or of the run log keeps, and loses.
import { expect, test } from "vitest";
import { BoundedReader } from "../../../src/platform/shared/bounded-reader.ts";

function reader(maxBytes: number): { feed: BoundedReader<string>; told: number[] } {
  const told: number[] = [];
  const feed = new BoundedReader<string>({
    maxBytes,
    accepts: (item) => item !== "unwanted",
    cost: (item) => item.length,
    lost: (count) => told.push(count),
    ended: () => told.push(-1),
  });
  return { feed, told };
}

async function all(feed: BoundedReader<string>): Promise<string[]> {
  feed.close();
  const read: string[] = [];
  for await (const item of feed) read.push(item);
  return read;
}

test("the oldest go where there is no room, to the byte", async () => {
  const { feed, told } = reader(10);
  for (const item of ["aaaa", "bbbb", "unwanted", "cc"]) feed.offer(item);
  expect(feed.lost).toBe(0);
  feed.offer("d");
  expect(feed.lost).toBe(1);
  feed.offer("eeeeeeeee");
  expect([feed.lost, told]).toEqual([3, [1, 2]]);
  expect(await all(feed)).toEqual(["d", "eeeeeeeee"]);
  expect(told).toEqual([1, 2, -1]);
});

test("what is larger than all it may have is lost alone", async () => {
  const { feed, told } = reader(10);
  for (const item of ["aaaa", "b".repeat(11), "cc"]) feed.offer(item);
  expect([feed.lost, told]).toEqual([1, [1]]);
  expect(await all(feed)).toEqual(["aaaa", "cc"]);
});

test("nothing comes to one that was closed, whose end is told once", async () => {
  const { feed, told } = reader(10);
  feed.close();
  feed.offer("a");
  expect(await all(feed)).toEqual([]);
  expect(told).toEqual([-1]);
});
