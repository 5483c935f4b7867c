import { EventEmitter } from "node:events";
import { expect, test, vi } from "vitest";
import { watchSignals } from "../../../src/cli/start/signals.ts";

function watch(reload: () => Promise<void> = async () => {}) {
  const source = new EventEmitter();
  const exitNow = vi.fn();
  return { source, exitNow, signals: watchSignals({ exitNow, reload }, source) };
}

test.each([
  ["SIGTERM", "SIGTERM"],
  ["SIGINT", "SIGTERM"],
])("%s stops, %s after it ends at once", async (first, second) => {
  const { source, exitNow, signals } = watch();
  source.emit(first);
  expect(await signals.stopped).toBe(first);
  expect(exitNow).not.toHaveBeenCalled();
  source.emit(second);
  expect(exitNow).toHaveBeenCalledTimes(1);
});

test("reloads do not overlap; many signals during one are one more", async () => {
  const finish: (() => void)[] = [];
  const { source } = watch(
    () =>
      new Promise((resolve) => {
        finish.push(resolve);
      }),
  );
  source.emit("SIGHUP");
  source.emit("SIGHUP");
  source.emit("SIGHUP");
  expect(finish).toHaveLength(1);
  finish[0]();
  await expect.poll(() => finish.length).toBe(2);
  finish[1]();
  await new Promise((resolve) => setImmediate(resolve));
  expect(finish).toHaveLength(2);
  source.emit("SIGHUP");
  expect(finish).toHaveLength(3);
});

test("dispose lets go of the process", () => {
  const { source, signals } = watch();
  signals.dispose();
  expect(source.eventNames()).toEqual([]);
});
