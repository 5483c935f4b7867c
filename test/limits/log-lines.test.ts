// What clients that are refused or closed cause to be logged: each line names its metric, and nobody can fill the disk.
import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { LogBudget } from "../../src/log-budget.ts";
import { Metrics } from "../../src/metrics.ts";
import type { Logger } from "../../src/options.ts";
import { MemoryRegistry } from "../../src/platform/registry/index.ts";
import { eventually, unique } from "../support/server.ts";
import { AROUND, limited } from "./limited.ts";

interface Line {
  readonly metric?: string;
  readonly more?: number;
  readonly message: string;
  readonly address?: string;
  readonly client?: string;
}

/** The lines at level info. */
function recorder(): { readonly lines: Line[]; readonly logger: Logger } {
  const lines: Line[] = [];
  const info = (fields: object, message: string): void => void lines.push({ ...fields, message });
  return { lines, logger: { debug() {}, info, warn() {}, error() {} } };
}

/** Sends bytes that are no MQTT, and waits until the broker has closed. */
async function nonsense(port: number): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined).resume();
  socket.end(Buffer.from("10800000000000", "hex"));
  await once(socket, "close");
}

test.each(AROUND)(
  "logLines 5 per second: %i of one kind from the limit, then one line for the rest",
  (beyond) => {
    const { lines, logger } = recorder();
    const metrics = new Metrics();
    const budget = new LogBudget(logger, 5, metrics);
    for (let second = 1; second <= 2; second++) {
      for (let i = 0; i < 5 + beyond; i++) budget.info("closed.a", { client: `c${i}` }, "closing");
      budget.info("closed.b", {}, "another kind has a budget of its own");
      const logged = lines.splice(0);
      expect(logged.filter(({ metric }) => metric === "closed.a")).toHaveLength(Math.min(5, 5 + beyond));
      expect(logged.at(-1)).toEqual({ metric: "closed.b", message: "another kind has a budget of its own" });
      budget.renew();
      const rest = { metric: "closed.a", more: 1, message: "more of the same, not logged one by one" };
      expect(lines.splice(0)).toEqual(beyond > 0 ? [rest] : []);
      budget.renew();
      expect(lines).toEqual([]);
      expect(metrics.limits.get("dropped.log_lines") ?? 0).toBe(beyond > 0 ? second : 0);
    }
  },
);

test("logLines 0: only counted", () => {
  const { lines, logger } = recorder();
  const budget = new LogBudget(logger, 0, new Metrics());
  for (let i = 0; i < 3; i++) budget.info("closed.a", {}, "closing");
  budget.renew();
  expect(lines).toEqual([expect.objectContaining({ metric: "closed.a", more: 3 })]);
});

test("300 malformed connections and 300 refused ones leave a few lines, and nobody is forgotten", async () => {
  const { lines, logger } = recorder();
  await limited(
    { logLines: 2 },
    async ({ broker, port }) => {
      const started = performance.now();
      const [mqtt, webSocket] = [port, broker.listeners[1].port];
      for (let i = 0; i < 300; i++) {
        await nonsense(mqtt);
        await nonsense(webSocket);
      }
      await broker.close({ drainMs: 0 });
      // The clock has gone round so often: each round brings two lines and one for the rest, the end one more.
      const rounds = Math.ceil((performance.now() - started) / 1_000) + 1;
      for (const kind of ["errors.protocol", "refused.upgrade"]) {
        const own = lines.filter(({ metric }) => metric === kind);
        expect(own.length).toBeLessThanOrEqual(rounds * 3);
        expect(own.reduce((sum, { more = 1 }) => sum + more, 0)).toBe(300);
      }
      expect(broker.metrics()["dropped.log_lines"]).toBeGreaterThan(300);
    },
    { logger, listeners: [{ port: 0 }, { kind: "ws", port: 0 }] },
  );
});

test.each([4, 5] as const)(
  "MQTT %s: a client that takes itself over again and again leaves a few lines",
  async (version) => {
    const { lines, logger } = recorder();
    await limited(
      { logLines: 2 },
      async (server) => {
        const started = performance.now();
        const clientId = unique("twin");
        for (let i = 0; i < 51; i++) await server.connect(version, { clientId });
        await server.broker.close({ drainMs: 0 });
        const rounds = Math.ceil((performance.now() - started) / 1_000) + 1;
        const own = lines.filter(({ metric }) => metric === "closed.taken_over");
        expect(own.length).toBeLessThanOrEqual(rounds * 3);
        expect(own.reduce((sum, { more = 1 }) => sum + more, 0)).toBe(50);
        expect(own[0]).toMatchObject({ client: clientId, message: "session taken over" });
        expect(lines.filter(({ message }) => message === "session taken over")).toHaveLength(
          own.filter(({ more }) => more === undefined).length,
        );
      },
      { logger },
    );
  },
);

test("subscriptions that end with a right leave a few lines", async () => {
  const { lines, logger } = recorder();
  await limited(
    { logLines: 2 },
    async (server) => {
      const client = await server.connect(5);
      await client.subscribe(Array.from({ length: 50 }, (_, i) => `t/${i}`));
      server.broker.use({ authorizeSubscribe: () => false });
      const of = (): Line[] => lines.filter(({ metric }) => metric === "ended.subscription");
      await eventually(() => of().reduce((sum, { more = 1 }) => sum + more, 0) === 50, "all have ended");
      expect(of().length).toBeLessThanOrEqual(6);
      expect(server.broker.metrics()["ended.subscription"]).toBe(50);
    },
    { logger },
  );
});

test("[AUTH-9] devices whose securemode does not fit, before they have proved anything, leave a few lines", async () => {
  const { lines, logger } = recorder();
  await limited(
    { logLines: 2 },
    async (server) => {
      for (let i = 0; i < 40; i++) {
        const client = await server.open(4);
        await client.connect({
          clientId: `c${i}|securemode=2,signmethod=hmacsha256|`,
          username: `device${i}&a1EXAMPLE01`,
          password: "00",
          keepAlive: 60,
        });
      }
      await server.broker.close({ drainMs: 0 });
      const own = lines.filter(({ metric }) => metric === "noted.secure_mode");
      expect(own.reduce((sum, { more = 1 }) => sum + more, 0)).toBe(40);
      expect(own.length).toBeLessThan(40);
    },
    { logger, profile: "platform", devices: new MemoryRegistry() },
  );
});

test("info names the metric of connect timeout, Keep Alive timeout, handshake timeout and a WebSocket message too large", async () => {
  const { lines, logger } = recorder();
  const limits = { connectTimeout: 500, handshakeTimeout: 300, webSocketMaxPayload: 100 };
  await limited(
    limits,
    async (server) => {
      const { broker } = server;
      const said = (kind: string): Promise<void> =>
        eventually(() => lines.some(({ metric }) => metric === kind), kind);
      const sleeper = await server.connect(4, { clientId: unique("sleeper"), keepAlive: 1 });
      await server.open(4); // and no CONNECT
      const half = connect(broker.listeners[1].port, "127.0.0.1", () => half.write("GET / HTTP/1.1\r\n"));
      half.on("error", () => undefined);
      const large = new WebSocket(`ws://127.0.0.1:${broker.listeners[1].port}/mqtt`, "mqtt");
      await once(large, "open");
      large.send(Buffer.alloc(101));
      await said("refused.websocket_payload");
      await said("refused.deadline");
      await said("closed.connect_timeout");
      await sleeper.expectClosed();
      await said("closed.keep_alive");
      expect(lines.find(({ metric }) => metric === "closed.keep_alive")?.client).toMatch(/^sleeper/);
      expect(lines.find(({ metric }) => metric === "closed.connect_timeout")?.address).toBe("127.0.0.1");
      const { "closed.keep_alive": keepAlive, "refused.deadline": deadline } = broker.metrics();
      expect([keepAlive, deadline]).toEqual([1, 1]);
    },
    { logger, listeners: [{ port: 0 }, { kind: "ws", port: 0 }] },
  );
});
