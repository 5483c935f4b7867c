// The crash test: everybody at work, the broker killed at a random moment, started again on what it left, and, now and
// then, everything that was promised counted. State goes on from round to round, so that what waits lives through many
// crashes.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCast } from "./cast.mjs";
import { BrokerProcess } from "./child.mjs";
import { Client } from "./client.mjs";
import { Ledger } from "./ledger.mjs";
import { CONNACK, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, UNSUBACK } from "./packets.mjs";
import { Random } from "./random.mjs";

const DRAIN_MS = 20_000;
/** ms after which a client whose acknowledgement was swallowed by a failing store comes again. */
const PATIENCE_MS = 250;
const KILL_ON = [CONNACK, PUBACK, PUBACK, PUBREC, PUBREC, PUBREL, PUBCOMP, PUBLISH, SUBACK, UNSUBACK];
const SHOWN = 20;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export class CrashTest {
  #options;
  #random;
  #ledger = new Ledger();
  #cast;
  #broker;
  #port;
  #directory;
  #running = false;
  #killOn;
  #killNow = () => {};
  #faultSeeds;
  #device;
  kills = 0;
  checks = 0;

  /** `options`: {seed, rounds, level, dist, cli, faults (rate), workMs, log, trace}. `cli`: the command line is the broker. */
  constructor(options) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#faultSeeds = this.#random.fork();
    this.#ledger.tolerant = options.faults !== undefined;
    this.#cast = createCast(this.#random, this.#ledger, (type) => this.#event(type), options.trace);
  }

  get #clients() {
    const { publishers, receivers, prober, witness, mortals } = this.#cast;
    return [...publishers, ...receivers, prober, witness, ...mortals].map(({ client }) => client);
  }

  #event(type) {
    const kill = this.#killOn;
    if (kill === undefined || kill.type !== type || --kill.count > 0) return;
    this.#killOn = undefined;
    this.#killNow();
  }

  /** Returns {rounds, kills, checks, counts, violations, directory}; the directory is kept where something is wrong. */
  async run() {
    const { rounds, level, dist, cli, log } = this.#options;
    this.#directory = mkdtempSync(join(tmpdir(), "crash-"));
    this.#port = await freePort();
    const platformPort = cli ? await freePort() : undefined;
    const broker = { directory: this.#directory, port: this.#port, platformPort, level, dist };
    this.#broker = new BrokerProcess(broker);
    this.#broker.onDeath = (text) => this.#ledger.violation(text);
    let round = 0;
    try {
      await this.#start();
      this.#broker.faults(false);
      for (const actor of [...this.#cast.publishers, ...this.#cast.receivers, this.#cast.witness])
        await actor.setUp();
      this.#broker.faults(true);
      while (round < rounds && this.#ledger.violations.length === 0) {
        round++;
        await this.#work();
        if (this.#random.chance(0.15)) await this.#startAndKill();
        await this.#start();
        if (round === rounds || this.#random.chance(0.4)) await this.#check();
        log?.(round, this.#ledger);
      }
    } catch (error) {
      this.#ledger.violation(error.stack);
    } finally {
      for (const client of this.#clients) {
        client.brokerAt(undefined);
        client.goOffline(false);
      }
      await this.#broker.kill();
    }
    const { violations, counts } = this.#ledger;
    if (violations.length === 0) rmSync(this.#directory, { recursive: true, force: true });
    const said = violations.length > 0 ? this.#broker.lines : [];
    return {
      rounds: round,
      kills: this.kills,
      checks: this.checks,
      counts,
      said,
      violations: violations.slice(0, SHOWN),
      directory: this.#directory,
    };
  }

  #faults() {
    const { faults } = this.#options;
    return faults === undefined ? undefined : { seed: this.#faultSeeds.int(0, 2 ** 31), rate: faults };
  }

  async #start() {
    if (!(await this.#broker.start(this.#faults())))
      throw new Error(`not started: ${this.#broker.lines.join("\n")}`);
    for (const client of this.#clients) client.brokerAt(this.#port);
    if (this.#broker.device !== undefined) await this.#signIn();
  }

  /** The demo device of the first start is known, by the secret of then. */
  async #signIn() {
    this.#device ??= this.#broker.device;
    const { port, id, username, password } = this.#device;
    const device = new Client(
      { id, version: 4, clean: true, credentials: { keepAlive: 60, username, password } },
      {
        violation: (text) => this.#ledger.violation(text),
        refused: (_, reason) =>
          this.#ledger.violation(`the demo device is refused with ${reason}: its registration is gone`),
      },
    );
    device.brokerAt(port);
    device.goOnline();
    try {
      await this.#until(() => device.online, "the demo device has signed in");
      this.#ledger.counts.signIns++;
    } finally {
      device.goOffline(true);
      device.brokerAt(undefined);
    }
  }

  /** Killed while it starts, or just behind it. */
  async #startAndKill() {
    const started = this.#broker.start(this.#faults());
    const timer = setTimeout(() => this.#broker.kill(), this.#random.int(0, 400));
    if (await started) for (const client of this.#clients) client.brokerAt(this.#port);
    await sleep(this.#random.int(0, 20));
    clearTimeout(timer);
    for (const client of this.#clients) client.brokerAt(undefined);
    await this.#broker.kill();
    this.kills++;
  }

  /** Everybody at work until the broker is killed. */
  async #work() {
    const { workMs } = this.#options;
    const killed = new Promise((resolve) => {
      this.#killNow = () => {
        void this.#broker.kill();
        resolve();
      };
    });
    // Half of them at some moment, half at the very packet: what has just been promised is what may be lost.
    if (this.#random.chance(0.5))
      this.#killOn = { type: this.#random.pick(KILL_ON), count: this.#random.int(1, 200) };
    const timer = setTimeout(this.#killNow, this.#random.int(20, workMs));
    this.#running = true;
    const { publishers, receivers, mortals } = this.#cast;
    const work = [...publishers, ...receivers, ...mortals].map((actor) => this.#act(actor));
    const impatient = this.#ledger.tolerant ? setInterval(() => this.#impatience(), 50) : undefined;
    await killed;
    clearTimeout(timer);
    clearInterval(impatient);
    this.#killOn = undefined;
    for (const client of this.#clients) client.brokerAt(undefined);
    await this.#broker.kill();
    this.kills++;
    this.#running = false;
    await Promise.all(work);
    for (const actor of mortals) actor.killed();
  }

  async #act(actor) {
    for (;;) {
      await sleep(actor.pause());
      if (!this.#running) return;
      actor.step();
    }
  }

  #impatience() {
    const now = Date.now();
    for (const client of this.#clients) if (client.waiting(now) > PATIENCE_MS) client.drop();
  }

  /** Brings everything to its end, and counts. */
  async #check() {
    const { publishers, receivers, prober, folders } = this.#cast;
    this.checks++;
    this.#broker.faults(false);
    for (const { client } of publishers) client.goOnline();
    for (const actor of receivers) {
      actor.client.lag = 0;
      if (actor.settle !== undefined) actor.settle();
      else actor.client.goOnline();
    }
    prober.client.goOnline();
    const impatient = this.#ledger.tolerant ? setInterval(() => this.#impatience(), 50) : undefined;
    try {
      await this.#until(
        () => [...publishers, ...receivers, prober].every(({ client }) => client.online),
        "everybody is online",
      );
      await this.#until(
        () => publishers.every(({ client }) => client.inflight.size === 0),
        "every publisher has its acknowledgements",
      );
      // Behind everything that waits in any queue; and to every folder, whoever listens there.
      for (const folder of folders) prober.send({ topic: `d/${folder}/probe/q1`, qos: 1 });
      for (const { client } of receivers) prober.send({ topic: `x/${client.id}`, qos: 2 });
      await this.#until(() => prober.client.inflight.size === 0, "the probes are acknowledged");
      await this.#until(
        () => this.#ledger.missing().length === 0,
        () => this.#ledger.missing().slice(0, SHOWN).join("; "),
      );
      await this.#until(
        () => receivers.every(({ client }) => client.received.size === 0),
        "every QoS 2 exchange is through",
      );
      await Promise.all(receivers.map(({ client }) => client.fence()));
      await this.#audit();
    } finally {
      clearInterval(impatient);
    }
    this.#ledger.settled = true;
    this.#ledger.missing();
    this.#ledger.settled = false;
    prober.client.goOffline(true);
    this.#broker.faults(true);
  }

  /** What retained messages does a newcomer get? */
  async #audit() {
    const found = new Map();
    const auditor = new Client(
      { id: "auditor", version: 5, clean: true },
      {
        violation: (text) => this.#ledger.violation(text),
        message: (_, { topic, payload, retain }) => {
          if (!topic.startsWith("fence/") && (!retain || found.has(topic)))
            this.#ledger.violation(`retained ${topic}: not as such, or twice`);
          found.set(topic, payload);
        },
      },
    );
    auditor.brokerAt(this.#port);
    auditor.goOnline();
    await this.#until(() => auditor.online, "the auditor is online");
    await new Promise((resolve) => auditor.subscribe("r/#", 1, resolve));
    // They are queued behind the SUBACK, and this behind them.
    await new Promise((resolve) => auditor.subscribe("fence/auditor", 1, resolve));
    auditor.publish({ topic: "fence/auditor", payload: Buffer.from("-"), qos: 1, retain: false });
    await this.#until(() => found.has("fence/auditor"), "the auditor's own message comes back");
    await auditor.fence();
    found.delete("fence/auditor");
    this.#ledger.checkRetained(found);
    auditor.goOffline(true);
  }

  async #until(holds, what) {
    const { counts } = this.#ledger;
    let end = Date.now() + DRAIN_MS;
    let moved = -1;
    while (!holds()) {
      // A long queue behind a narrow window, on a slow disk, takes its time; standing still is what must not be.
      const moves = counts.delivered + counts.acknowledged;
      if (moves !== moved) {
        moved = moves;
        end = Date.now() + DRAIN_MS;
      }
      if (this.#ledger.violations.length > 0) throw new Error("stopped at the first violation");
      if (Date.now() > end)
        throw new Error(`nothing has moved for ${DRAIN_MS} ms: ${typeof what === "string" ? what : what()}`);
      await sleep(5);
    }
  }
}
