// The life of `millrace start` around a broker that only records what it is told; the real one is in process.test.ts.
import { EventEmitter } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { backupThroughControl, publishThroughControl } from "../../../src/cli/control/control-client.ts";
import { controlAnswers } from "../../../src/cli/control/control-path.ts";
import type { PlatformBroker } from "../../../src/cli/control/platform-calls.ts";
import type { RunningBroker } from "../../../src/cli/start/running-broker.ts";
import { readSettings, runBroker, type StartParts } from "../../../src/cli/start/start.ts";
import type { BrokerOptions } from "../../../src/options.ts";
import type { DurableStore } from "../../../src/store/open-store.ts";
import type { Store } from "../../../src/store/contract/store.ts";

const MESSAGE = { topic: "t", payload: Buffer.from("p"), qos: 1, retain: false, properties: {} } as const;

let directory: string;
let data: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-test-"));
  data = join(directory, "data");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function parts(overrides: Partial<StartParts> = {}) {
  const calls: [string, unknown][] = [];
  const signals = new EventEmitter();
  const printed: string[] = [];
  const logged: [string, object][] = [];
  const createBroker = async (options: BrokerOptions): Promise<RunningBroker> => {
    calls.push(["create", options]);
    return {
      listeners: options.listeners?.map(({ kind, host }) => ({ url: `${kind}://${host}:4242` })) ?? [],
      publish: async (message) => void calls.push(["publish", message]),
      close: async (how) => {
        // The control socket outlives the broker, so that a second start is refused until the first has ended.
        calls.push([
          "close",
          { ...how, locked: existsSync(join(data, "broker.lock")), control: await controlAnswers(data) },
        ]);
        await options.store?.close();
      },
      reload: async (next) => {
        calls.push(["reload", await next()]);
        return { applied: ["sysInterval"], unchanged: [], restart: [] };
      },
      // Without a platform.
    } satisfies Omit<RunningBroker, keyof PlatformBroker> as unknown as RunningBroker;
  };
  const note = (fields: object, message: string) => void logged.push([message, fields]);
  const logger = { debug: note, info: note, warn: note, error: note, setLevel: vi.fn(), flush: vi.fn() };
  const exitNow = vi.fn();
  const print = (text: string) => void printed.push(text);
  return {
    calls,
    signals,
    printed,
    logged,
    exitNow,
    parts: { createBroker, logger, print, exitNow, signals, ...overrides },
  };
}

describe("durability", () => {
  const base = { profile: "standard", listen: ["tcp://localhost:0"] } as const;

  test.each(["process", "power"] as const)("%s hands the broker its store, and is named", async (level) => {
    const flags = { ...base, data, durability: level };
    const { calls, signals, printed, parts: given } = parts();
    const running = runBroker(flags, await readSettings(flags), given);
    await expect.poll(() => printed, { timeout: 10_000 }).toHaveLength(1);
    expect(printed[0]).toContain(`\nDurability: ${level}, what is acknowledged `);
    expect((calls[0][1] as BrokerOptions).store?.name).toBe(level);
    signals.emit("SIGTERM");
    await running;
  });

  test("none opens no store, and says so where there is one", async () => {
    const flags = { ...base, data, durability: "none" } as const;
    mkdirSync(join(data, "store"), { recursive: true, mode: 0o700 });
    const { calls, signals, printed, logged, parts: given } = parts();
    const running = runBroker(flags, await readSettings(flags), given);
    await expect.poll(() => printed, { timeout: 10_000 }).toHaveLength(1);
    expect(printed[0]).toContain("\nDurability: none, sessions and messages end with the process\n");
    expect((calls[0][1] as BrokerOptions).store).toBeUndefined();
    expect(logged.map(([message]) => message)).toContain(
      "durability none: the sessions and messages kept there are left alone, not served",
    );
    await expect(backupThroughControl(data, join(directory, "b"))).rejects.toThrow("durability none");
    signals.emit("SIGTERM");
    await running;
    expect(readdirSync(join(data, "store"))).toEqual([]);
  });

  test("a stop waits for the backup that is being made, and takes no other", async () => {
    const flags = { ...base, data, durability: "process" } as const;
    const { calls, signals, printed, logged, parts: given } = parts();
    const running = runBroker(flags, await readSettings(flags), given);
    await expect.poll(() => printed, { timeout: 10_000 }).toHaveLength(1);
    const store = (calls[0][1] as BrokerOptions).store as DurableStore;
    let go = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    let begun = false;
    const backup = store.backup.bind(store);
    vi.spyOn(store, "backup").mockImplementation(async (to) => {
      begun = true;
      await gate;
      await backup(to);
    });
    const first = backupThroughControl(data, join(directory, "b"));
    await expect.poll(() => begun).toBe(true);
    await expect(backupThroughControl(data, join(directory, "c"))).rejects.toThrow("another backup");
    signals.emit("SIGTERM");
    await expect.poll(() => logged.map(([message]) => message)).toContain("stopping");
    await expect(backupThroughControl(data, join(directory, "c"))).rejects.toThrow("the broker stops");
    expect(calls.map(([name]) => name)).toEqual(["create"]);
    go();
    await first;
    await running;
    expect(calls.map(([name]) => name)).toEqual(["create", "close"]);
    expect(readdirSync(join(directory, "b"))).toEqual(["data.mdb"]);
  });
});

describe("a start", () => {
  test("prints, publishes, drains at SIGTERM and leaves nothing behind but its files", async () => {
    const flags = { data, listen: ["auto://localhost:0"] };
    const { calls, signals, printed, parts: given } = parts();
    const running = runBroker(flags, await readSettings(flags), given);
    await expect.poll(() => printed, { timeout: 10_000 }).toHaveLength(1);
    expect(printed[0]).toContain("  auto://localhost:4242  ");
    expect(printed[0]).toContain("\nmosquitto_sub -h 127.0.0.1 -p 4242 ");
    expect(printed[0]).toContain(`\nnpx millrace publish --data ${data} '/a1demo00001/`);
    await publishThroughControl(data, MESSAGE);
    signals.emit("SIGTERM");
    await running;
    expect(calls.map(([name]) => name)).toEqual(["create", "publish", "close"]);
    expect(calls[0][1]).toMatchObject({
      profile: "platform",
      listeners: [
        { kind: "auto", host: "localhost", port: 0, profile: "platform", tls: { key: expect.anything() } },
      ],
      devices: expect.anything(),
    });
    expect(calls[1][1]).toEqual(MESSAGE);
    expect(calls[2][1]).toEqual({ drainMs: 2_000, locked: true, control: true });
    expect(readdirSync(data).sort()).toEqual(["registry", "server.crt", "server.key", "store"]);
    expect(signals.eventNames()).toEqual([]);
  });

  test("of the standard profile alone makes no devices and no certificate", async () => {
    const flags = {
      data,
      profile: "standard",
      listen: ["tcp://localhost:0"],
      durability: "none",
    } as const;
    const { signals, printed, parts: given } = parts();
    const running = runBroker(flags, await readSettings(flags), given);
    await expect.poll(() => printed, { timeout: 10_000 }).toHaveLength(1);
    expect(printed[0]).not.toContain("mosquitto_");
    signals.emit("SIGINT");
    await running;
    expect(readdirSync(data)).toEqual([]);
  });

  test("asked to stop before the broker is there stops as soon as it is", async () => {
    const flags = { data, profile: "standard", listen: ["tcp://localhost:0"] } as const;
    let ready = () => {};
    const waiting = new Promise<void>((resolve) => {
      ready = resolve;
    });
    const recorded = parts();
    const createBroker: StartParts["createBroker"] = async (options) => {
      await waiting;
      return recorded.parts.createBroker(options);
    };
    const running = runBroker(flags, await readSettings(flags), { ...recorded.parts, createBroker });
    await expect.poll(() => controlAnswers(data)).toBe(true);
    const publishing = publishThroughControl(data, MESSAGE);
    recorded.signals.emit("SIGTERM");
    ready();
    await running;
    await publishing.catch(() => {});
    expect(recorded.calls.at(-1)?.[0]).toBe("close");
  });

  test("that fails gives the directory back", async () => {
    const flags = { data, profile: "standard", listen: ["tcp://localhost:0"] } as const;
    let store: Store | undefined;
    const createBroker = (options: BrokerOptions) => {
      store = options.store;
      return Promise.reject(new Error("port in use"));
    };
    const recorded = parts({ createBroker });
    await expect(runBroker(flags, await readSettings(flags), recorded.parts)).rejects.toThrow("port in use");
    expect(readdirSync(data)).toEqual(["store"]);
    expect(store?.name).toBe("power");
    const batch = store?.begin();
    await expect(batch && store?.commit(batch)).rejects.toMatchObject({ code: "STORE_CLOSED" });
    expect(recorded.signals.eventNames()).toEqual([]);
  });

  test("on the directory of a running broker is refused, and does not disturb it", async () => {
    const flags = { data, profile: "standard", listen: ["tcp://localhost:0"] } as const;
    const first = parts();
    const running = runBroker(flags, await readSettings(flags), first.parts);
    await expect.poll(() => first.printed).toHaveLength(1);
    const second = parts();
    await expect(runBroker(flags, await readSettings(flags), second.parts)).rejects.toMatchObject({
      code: "DATA_DIRECTORY_IN_USE",
    });
    expect(second.calls).toEqual([]);
    await publishThroughControl(data, MESSAGE);
    first.signals.emit("SIGTERM");
    await running;
    expect(first.calls.map(([name]) => name)).toEqual(["create", "publish", "close"]);
  });
});

test("SIGHUP hands the broker the file as it is now, flags still winning", async () => {
  const config = join(directory, "m.yaml");
  writeFileSync(config, "profile: platform\nlisteners: [{url: 'tcp://localhost:0'}]\nsysInterval: 5\n");
  const flags = { data, config, profile: "standard" } as const;
  const { calls, signals, printed, logged, parts: given } = parts();
  const running = runBroker(flags, await readSettings(flags), given);
  await expect.poll(() => printed, { timeout: 10_000 }).toHaveLength(1);
  writeFileSync(config, "listeners: [{url: 'tcp://localhost:0'}]\nsysInterval: 7\n");
  signals.emit("SIGHUP");
  await expect.poll(() => logged.map(([message]) => message)).toContain("configuration reloaded");
  expect(calls.at(-1)).toMatchObject(["reload", { profile: "standard", sysInterval: 7 }]);
  writeFileSync(config, "sysIntervall: 7\n");
  signals.emit("SIGHUP");
  await expect.poll(() => logged.map(([message]) => message)).toContain("reload failed, nothing was changed");
  expect(calls.filter(([name]) => name === "reload")).toHaveLength(1);
  signals.emit("SIGTERM");
  await running;
});
