// How a real process starts, drains and reloads, where the parts alone cannot show it: against the clock, against a client
// that takes nothing, and in the log an operator reads.
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import mqtt from "mqtt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Wire } from "../../support/wire.ts";
import { MAIN, Workplace } from "../executable.ts";

let workplace: Workplace;
beforeEach(() => {
  workplace = new Workplace();
});
afterEach(() => workplace.close());

const STANDARD = ["--profile", "standard", "--listen", "tcp://localhost:0"];

describe("the package", () => {
  const manifest = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"));

  test("builds at `npm start` and `npm test` alone, never behind a running broker's back", () => {
    const hooks = ["prepare", "prepack", "preinstall", "install", "postinstall", "prestart", "pretest"];
    expect(Object.keys(manifest.scripts).filter((name) => hooks.includes(name))).toEqual([]);
    expect(manifest.bin).toEqual({ millrace: "dist/cli/main.js" });
  });

  test("its program is executable", () => {
    expect(statSync(MAIN).mode & 0o111).toBe(0o111);
    expect(readFileSync(MAIN, "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
  });
});

/** Processor time of a process, ms, where the system tells it. */
function processorTime(pid: number | undefined): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

test("on an empty directory the standard profile listens within a second", async () => {
  const began = performance.now();
  const { child } = await workplace.start(...STANDARD);
  const elapsed = performance.now() - began;
  // Where other tests keep the processors busy, what it took of them is what counts.
  expect(Math.min(elapsed, processorTime(child.pid))).toBeLessThan(1_000);
});

describe("SIGTERM", () => {
  /** A subscriber that has not read a byte since its SUBACK. */
  async function stalled(port: number): Promise<Socket> {
    const wire = new Wire(4);
    const socket = connect({ port, host: "127.0.0.1" });
    await once(socket, "connect");
    socket.write(Buffer.concat([wire.connect({ clientId: "stalled" }), wire.subscribe(1, "big")]));
    let bytes = 0;
    while (bytes < 9) bytes += ((await once(socket, "data")) as [Buffer])[0].length;
    socket.pause();
    return socket;
  }

  test.each([1, 2])(
    "does not wait longer than 2 s for clients that take nothing (%i of them)",
    async (count) => {
      const { child, exited, ports } = await workplace.start(...STANDARD);
      const clients = await Promise.all(Array.from({ length: count }, () => stalled(ports[0])));
      const publisher = await mqtt.connectAsync(`mqtt://127.0.0.1:${ports[0]}`, { reconnectPeriod: 0 });
      // More than the kernel takes for them, so that the broker is left with bytes it cannot get rid of.
      for (let i = 0; i < 8; i++) await publisher.publishAsync("big", Buffer.alloc(1_000_000), { qos: 1 });
      const began = performance.now();
      child.kill("SIGTERM");
      expect(await exited).toBe(0);
      const took = performance.now() - began;
      expect(took).toBeGreaterThan(1_500);
      // Two seconds, and what a busy machine adds; the kernel alone would keep such a connection for many minutes.
      expect(took).toBeLessThan(8_000);
      for (const client of clients) client.destroy();
      await publisher.endAsync(true);
    },
  );

  test("ends at once where everybody has taken everything", { retry: 2 }, async () => {
    const { child, exited, ports } = await workplace.start(...STANDARD);
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${ports[0]}`, { reconnectPeriod: 0 });
    const began = performance.now();
    child.kill("SIGTERM");
    expect(await exited).toBe(0);
    expect(performance.now() - began).toBeLessThan(2_000);
    await client.endAsync(true);
  });
});

describe("SIGHUP", () => {
  const lines = (log: string): { msg: string; level: string; [key: string]: unknown }[] =>
    log
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));

  test("logs what was applied, is unchanged, and needs a restart; a mistake changes nothing", async () => {
    const config = join(workplace.directory, "m.yaml");
    const base = "profile: standard\nlisteners:\n  - url: tcp://localhost:0\n";
    writeFileSync(config, `${base}logLevel: info\nlimits: {maxConnections: 10}\n`);
    const { child, output, ports } = await workplace.start("--config", config);
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${ports[0]}`, { reconnectPeriod: 0 });

    writeFileSync(config, `${base}logLevel: debug\nlimits: {maxConnections: 11}\n`);
    child.kill("SIGHUP");
    await expect.poll(() => output.log).toContain("at the next start");
    const reloaded = lines(output.log).find(({ msg }) => msg === "configuration reloaded");
    expect(reloaded).toMatchObject({ level: "info", applied: ["logLevel"] });
    expect(reloaded?.["unchanged"]).toEqual(expect.arrayContaining(["listeners[0]", "data", "durability"]));
    expect(lines(output.log).find(({ msg }) => msg.includes("next start"))).toMatchObject({
      level: "warn",
      restart: ["limits"],
    });

    writeFileSync(config, `${base}logLevl: debug\n`);
    child.kill("SIGHUP");
    await expect.poll(() => output.log).toContain("reload failed, nothing was changed");
    const failed = lines(output.log).find(({ msg }) => msg.includes("nothing was changed"));
    expect(failed).toMatchObject({
      level: "error",
      reason: expect.stringContaining("did you mean logLevel?"),
    });
    expect(client.connected).toBe(true);
    await client.endAsync();
  });
});
