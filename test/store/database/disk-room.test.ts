// Room is asked for as the pages that changes may take: no less than the engine really writes, and not a multiple of it, or a
// start behind a crash on a disk that is nearly full would be refused for nothing.
import { cpSync, statSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Changes } from "../../../src/store/contract/changes.ts";
import { bytesToWrite } from "../../../src/store/database/disk-room.ts";
import { LmdbFile } from "../../../src/store/database/lmdb-file.ts";
import { openStore, storeDirectory } from "../../../src/store/open-store.ts";
import { temporaryDirectory } from "../directories.ts";
import { keptState, segment, StoredSession } from "../kept-state.ts";
import { seededRandom } from "../seeded-random.ts";

const MEBIBYTE = 1_048_576;
const SPARE = 8 * MEBIBYTE;
const SEGMENT = 60_000;

const one = new StoredSession(1);
const segmentOf = (serial: number, length: number) => segment(serial, "x".repeat(length), [one]);

describe("what the engine writes is no more than was reckoned", () => {
  const next = seededRandom(7);
  const random = (below: number): number => Math.floor(next() * below);
  const kinds: [string, (round: number) => Changes][] = [
    [
      "segments",
      (round) => {
        const changes = new Changes();
        for (let i = 0; i < 40; i++) changes.segment(segmentOf(round * 100 + i + 1, random(70_000)));
        for (let i = 0; i < 20 && round > 0; i++) changes.segmentGone((round - 1) * 100 + i + 1);
        return changes;
      },
    ],
    [
      "retained messages on topics in no order",
      () => {
        const changes = new Changes();
        for (let i = 0; i < 500; i++)
          changes.retained(`topic/${random(1_000_000)}`, Buffer.alloc(32 + random(300)));
        return changes;
      },
    ],
    [
      "sessions, cursors and ids",
      (round) => {
        const changes = new Changes();
        for (let i = 0; i < 300; i++) {
          const session = new StoredSession(1 + random(100_000));
          changes.session(session, session.record());
          changes.subscription(session, `filter/${i}`, 1);
          changes.queue(session);
          changes.inbound(session, 1 + random(65_000), Buffer.alloc(random(3_000)));
          if (round > 2 && i % 3 === 0) changes.sessionEnded(new StoredSession(1 + random(100_000)));
        }
        return changes.seal();
      },
    ],
  ];
  test.each(kinds)("%s", async (_name, make) => {
    const directory = storeDirectory(temporaryDirectory());
    const file = await LmdbFile.open(directory);
    try {
      for (let round = 0; round < 8; round++) {
        const changes = make(round);
        const before = statSync(file.path).size;
        const reckoned = bytesToWrite(changes, file.stats()["treeLeafPageCount"] as number);
        await file.write(changes);
        expect(statSync(file.path).size - before, `round ${round}`).toBeLessThanOrEqual(reckoned + 16_384);
      }
    } finally {
      await file.close();
    }
  });
});

test("a log behind a crash: opened with room for what is in it and still kept, refused with less", async () => {
  const directory = temporaryDirectory();
  const store = await openStore({ directory, level: "process" });
  const crashed = temporaryDirectory();
  try {
    const batch = store.begin();
    batch.session(one, one.record());
    await store.commit(batch);
    for (let serial = 1; serial <= 100; serial++) {
      const next = store.begin();
      next.segment(segmentOf(serial, SEGMENT));
      // Of a hundred segments forty are left.
      if (serial > 40) next.segmentGone(serial - 40);
      await store.commit(next);
    }
    cpSync(storeDirectory(directory), storeDirectory(crashed), { recursive: true });
  } finally {
    await store.close();
  }
  const opened = (free: number) => openStore({ directory: crashed, level: "process", freeBytes: () => free });
  const kept = 40 * SEGMENT;
  await expect(opened(SPARE + kept * 0.9)).rejects.toMatchObject({
    code: "STORE_OPEN",
    message: expect.stringMatching(/no space left.* are needed/),
  });
  const again = await opened(SPARE + kept * 1.3);
  try {
    const { segments } = await keptState(again);
    expect(segments.map(([serial]) => serial)).toEqual(Array.from({ length: 40 }, (_, i) => 61 + i));
  } finally {
    await again.close();
  }
});
