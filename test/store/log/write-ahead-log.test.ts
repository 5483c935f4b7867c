// The log's file is closed only when nobody writes to it: a number of a closed file is given to whatever is opened next.
import { expect, test } from "vitest";
import { Changes } from "../../../src/store/contract/changes.ts";
import type { Done, LogFiles } from "../../../src/store/log/log-files.ts";
import { WriteAheadLog } from "../../../src/store/log/write-ahead-log.ts";

test("a log is not rotated under a record that is being written", async () => {
  const events: string[] = [];
  const written: Done[] = [];
  const files: LogFiles = {
    list: () => [],
    path: (number) => `log-${number}`,
    read: () => Buffer.alloc(0),
    remove: () => undefined,
    create: (number) => {
      events.push(`create ${number}`);
      return {
        append: (_parts, done) => void written.push(done),
        sync: (done) => done(null),
        close: () => void events.push(`close ${number}`),
      };
    },
  };
  const log = new WriteAheadLog(files, 7, 100, Buffer.alloc(16));
  const first = log.append(new Changes());
  expect(() => log.rotate()).toThrow("while a record is being written");
  expect(events).toEqual(["create 7"]);
  written[0](null);
  expect(await first).toBe(101);
  expect(log.rotate()).toBe(8);
  // A failed write is over as well: what it left is torn, and the next record begins another file.
  const second = log.append(new Changes());
  written[1](new Error("no space"));
  await expect(second).rejects.toThrow("no space");
  expect(log.rotate()).toBe(9);
  expect(events).toEqual(["create 7", "close 7", "create 8", "close 8"]);
});
