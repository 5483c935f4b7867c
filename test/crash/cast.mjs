// Who takes part: publishers, subscribers and their habits. Each acts by a random generator of its own.
import { Client } from "./client.mjs";
import { Fleeting, Testator } from "./mortals.mjs";

const FOLDERS = ["a", "b", "c", "d"];
const RETAINED_TOPICS = 6;
const MAX_INFLIGHT = 30;
const GROUP = "group g";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Sends bursts on topics of its own; which QoS a topic has is in its name, so that order can be judged. */
class Publisher {
  constructor(client, random, ledger) {
    this.client = client;
    this.random = random;
    this.ledger = ledger;
  }

  async setUp() {
    this.client.goOnline();
  }

  step() {
    const { client, random } = this;
    if (!client.online) return;
    if (random.chance(0.02)) return client.drop();
    for (let i = random.int(1, 8); i > 0 && client.inflight.size < MAX_INFLIGHT; i--)
      this.send(this.#topic());
  }

  #topic() {
    const { random, client } = this;
    const qos = random.int(1, 2);
    const kind = random.next();
    if (kind < 0.4) return { topic: `m/${client.id}/q${qos}`, qos };
    if (kind < 0.6) return { topic: `d/${random.pick(FOLDERS)}/${client.id}/q${qos}`, qos };
    if (kind < 0.75) return { topic: `s/${client.id}/q${qos}`, qos };
    // One of a topic's messages must not overtake another: its QoS is fixed, too.
    const number = random.int(1, RETAINED_TOPICS);
    return {
      topic: `r/${client.id}/${number}`,
      qos: 1 + (number % 2),
      retain: true,
      clear: random.chance(0.2),
    };
  }

  send(message) {
    const padding = this.random.chance(0.05) ? this.random.int(1_000, 20_000) : this.random.int(0, 100);
    this.client.publish(this.ledger.message({ publisher: this.client.id, padding, ...message }));
  }

  pause() {
    return this.random.int(0, 12);
  }
}

/** Keeps its subscriptions; comes and goes, and is slow at times. */
class Subscriber {
  constructor(client, random, ledger, { filters, away }) {
    this.client = client;
    this.random = random;
    this.ledger = ledger;
    this.filters = filters;
    this.away = away;
  }

  async setUp() {
    const { client, ledger } = this;
    client.goOnline();
    while (!client.online) await sleep(2);
    for (const [filter, qos] of this.filters) {
      const entry = ledger.subscribing(
        filter.startsWith("$share/g/") ? GROUP : client.id,
        plainOf(filter),
        qos,
      );
      await new Promise((resolve) => {
        client.subscribe(filter, qos, (reason) => {
          ledger.subscribed(entry, reason);
          resolve();
        });
      });
    }
  }

  step() {
    const { client, random } = this;
    client.lag = random.chance(0.4) ? random.int(1, 40) : 0;
    if (!client.wanted) {
      if (!random.chance(this.away)) client.goOnline();
    } else if (random.chance(this.away)) client.goOffline(random.chance(0.5));
    else if (random.chance(0.03)) client.drop();
  }

  pause() {
    return this.random.int(20, 120);
  }
}

/** Subscribes and unsubscribes all the time. */
class Collector extends Subscriber {
  #state = new Map(FOLDERS.map((name) => [`d/${name}/#`, "off"]));

  step() {
    const { client, random } = this;
    if (random.chance(0.3)) super.step();
    if (!client.online) return;
    const filter = random.pick([...this.#state.keys()]);
    const state = this.#state.get(filter);
    this.#state.set(filter, "unknown");
    if (state === "off" || (state === "unknown" && random.chance(0.5))) {
      const entry = this.ledger.subscribing(client.id, filter, 2);
      client.subscribe(filter, 2, (reason) => {
        this.ledger.subscribed(entry, reason);
        if (reason < 0x80) this.#state.set(filter, "on");
      });
    } else {
      const asked = this.ledger.unsubscribing(client.id, filter);
      client.unsubscribe(filter, (reason) => {
        if (reason >= 0x80) return;
        this.ledger.unsubscribed(client.id, filter, asked);
        this.#state.set(filter, "off");
      });
    }
  }

  forgetAll() {
    for (const filter of this.#state.keys()) this.#state.set(filter, "off");
  }

  pause() {
    return this.random.int(3, 40);
  }
}

/** A collector whose session ends again and again by a clean start. */
class Churner extends Collector {
  step() {
    const { client, random } = this;
    if (client.clean) {
      // The clean start has been granted: what was before must not come back.
      if (client.online) {
        client.goOffline(random.chance(0.5));
        client.clean = false;
      }
      if (random.chance(0.5)) client.goOnline();
      return;
    }
    if (!client.wanted) {
      client.goOnline();
      return;
    }
    if (random.chance(0.1)) {
      client.goOffline(random.chance(0.5));
      client.clean = true;
      client.goOnline();
      return;
    }
    super.step();
  }

  settle() {
    // A session of a moment proves nothing: it comes back as one that stays.
    if (this.client.clean) {
      this.client.goOffline(true);
      this.client.clean = false;
    }
    this.client.goOnline();
  }
}

export const plainOf = (filter) =>
  filter.startsWith("$share/") ? filter.split("/").slice(2).join("/") : filter;

/** Everybody, with the hooks that write into the ledger. */
export function createCast(random, ledger, onEvent, trace) {
  const hooks = {
    violation: (text) => ledger.violation(text),
    acknowledged: (message) => ledger.acknowledged(message),
    refusedMessage: (message) => ledger.refusedMessage(message),
    abandoned: (message) => {
      if (message.acknowledgedAt === undefined) ledger.abandoned(message);
    },
    refused: (client, reason) => {
      if (!ledger.tolerant) ledger.violation(`${client.id}: CONNECT refused with ${reason}`);
    },
    event: onEvent,
    trace,
  };
  const listening = {
    ...hooks,
    message: (client, packet) =>
      ledger.delivered(client.id, packet, client.id.startsWith("share-") ? GROUP : undefined),
  };
  const publishers = [
    { id: "pub-4-kept", version: 4, clean: false },
    { id: "pub-5-kept", version: 5, clean: false },
    { id: "pub-4-clean", version: 4, clean: true },
    { id: "pub-5-clean", version: 5, clean: true },
  ].map((options) => new Publisher(new Client(options, hooks), random.fork(), ledger));
  const subscribers = [
    {
      id: "sub-4",
      version: 4,
      away: 0.1,
      filters: [
        ["m/#", 2],
        ["r/#", 2],
        ["w/#", 2],
      ],
    },
    { id: "sub-5-narrow", version: 5, receiveMaximum: 5, away: 0.1, filters: [["m/+/+", 2]] },
    { id: "sub-4-away", version: 4, away: 0.8, filters: [["m/#", 2]] },
    {
      id: "sub-5-away",
      version: 5,
      receiveMaximum: 20,
      away: 0.8,
      filters: [
        ["m/#", 1],
        ["r/+/2", 1],
        ["w/#", 2],
      ],
    },
    ...[1, 2, 3].map((n) => ({ id: `share-${n}`, version: 5, away: 0.2, filters: [["$share/g/s/#", 2]] })),
  ].map(({ away, filters, ...options }) => {
    const client = new Client({ clean: false, ...options }, listening);
    return new Subscriber(client, random.fork(), ledger, {
      away,
      filters: [...filters, [`x/${client.id}`, 2]],
    });
  });
  const collectors = [
    { id: "dyn-4", version: 4, kind: Collector },
    { id: "dyn-5", version: 5, kind: Collector },
    { id: "churn-4", version: 4, kind: Churner },
    { id: "churn-5", version: 5, kind: Churner },
  ].map(({ kind, ...options }) => {
    let actor;
    const client = new Client(
      { clean: false, ...options },
      {
        ...listening,
        sessionEnding: ({ id }) => ledger.sessionEnding(id),
        sessionEnded: ({ id }) => {
          ledger.sessionEnded(id);
          actor.forgetAll();
        },
      },
    );
    const filters = kind === Churner ? [] : [[`x/${client.id}`, 2]];
    actor = new kind(client, random.fork(), ledger, { away: 0.2, filters });
    return actor;
  });
  const prober = new Publisher(
    new Client({ id: "prober", version: 5, clean: true }, hooks),
    random.fork(),
    ledger,
  );
  const witness = new Publisher(
    new Client({ id: "witness", version: 5, clean: true }, hooks),
    random.fork(),
    ledger,
  );
  const mortals = [
    ...["testator-1", "testator-2"].map(
      (id) => new Testator(id, random.fork(), ledger, witness.client, hooks),
    ),
    ...["fleeting-1", "fleeting-2"].map(
      (id) => new Fleeting(id, random.fork(), ledger, witness.client, hooks),
    ),
  ];
  return {
    mortals,
    witness,
    publishers,
    receivers: [...subscribers, ...collectors],
    prober,
    folders: FOLDERS,
  };
}
