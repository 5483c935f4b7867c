// Clients that are expected to go for good: one with a Will that waits for its delay, one whose session expires. What they
// are promised counts across crashes and by the clock of the wall.
import { Client } from "./client.mjs";

/** ms in which the broker notices a broken connection, on a busy machine. */
const NOTICED_MS = 200;

/**
 * Its connection breaks, and its Will waits. Once another client's message sent after that is acknowledged, so is the Will
 * stored: it must come, once. Until then it may; after a goodbye it must not.
 */
export class Testator {
  #will;
  #state = "away";
  #since = 0;
  #probe;

  /** `witness`: a client that publishes to kept sessions, online as long as the broker is. */
  constructor(id, random, ledger, witness, hooks) {
    this.random = random;
    this.ledger = ledger;
    this.witness = witness;
    this.client = new Client(
      {
        id,
        version: 5,
        clean: false,
        will: () => ({ delay: random.int(1, 2), message: this.#will }),
      },
      hooks,
    );
  }

  #bequeath() {
    const { ledger, client } = this;
    this.#will = ledger.message({ publisher: client.id, topic: `w/${client.id}/q2`, qos: 2, padding: 20 });
    ledger.counts.wills++;
  }

  /** Nothing is known of it any more. */
  #giveUp() {
    if (this.#will !== undefined) this.ledger.abandoned(this.#will);
    this.#will = undefined;
    this.#state = "away";
  }

  step() {
    const { client, random, ledger } = this;
    const now = Date.now();
    switch (this.#state) {
      case "away":
        this.#bequeath();
        client.goOnline();
        this.#state = "here";
        return;
      case "here":
        if (!client.online || !random.chance(0.3)) return;
        if (random.chance(0.3)) {
          client.goOffline(true);
          ledger.forbid(this.#will);
          this.#will = undefined;
          this.#state = "away";
          return;
        }
        client.goOffline(false);
        this.#state = "dropped";
        this.#since = now;
        return;
      case "dropped":
        if (now - this.#since < NOTICED_MS || !this.witness.online) return;
        this.#probe = ledger.message({
          publisher: this.witness.id,
          topic: `m/${this.witness.id}/q1`,
          qos: 1,
        });
        this.witness.publish(this.#probe);
        this.#state = "proving";
        return;
      case "proving":
        if (this.#probe.over) this.#state = "dropped";
        if (this.#probe.acknowledgedAt === undefined) return;
        ledger.acknowledged(this.#will);
        ledger.counts.willsWaiting++;
        this.#state = "waiting";
        return;
      case "waiting":
        if (!ledger.owed(this.#will)) this.#giveUp();
    }
  }

  /** The broker is gone. A Will that was known to wait is still owed; it has not been given up before it came. */
  killed() {
    if (this.#state === "waiting") return;
    this.client.goOffline(false);
    this.#giveUp();
  }

  pause() {
    return this.random.int(20, 80);
  }
}

/**
 * Goes away for less than its session lasts, or for longer. Where the store fails it is let in all the same: then the store
 * knows that it is back once another client's message sent after that is acknowledged.
 */
export class Fleeting {
  #until = 0;
  #probe;
  /** The connection it proves. */
  #attempt;

  constructor(id, random, ledger, witness, hooks) {
    this.random = random;
    this.ledger = ledger;
    this.witness = witness;
    this.client = new Client({ id, version: 5, clean: false, expiry: 2 }, hooks);
    this.client.unproven = ledger.tolerant;
  }

  #prove() {
    const { client, ledger, witness } = this;
    if (this.#attempt !== client.attempt || this.#probe?.over) this.#probe = undefined;
    if (this.#probe === undefined) {
      if (!witness.online) return;
      this.#attempt = client.attempt;
      this.#probe = ledger.message({ publisher: witness.id, topic: `m/${witness.id}/q1`, qos: 1 });
      witness.publish(this.#probe);
    } else if (this.#probe.acknowledgedAt !== undefined) client.session = "sure";
  }

  step() {
    const { client, random } = this;
    const now = Date.now();
    if (client.online && client.session === "maybe") this.#prove();
    if (client.wanted) {
      if (!client.online || !random.chance(0.3)) return;
      client.goOffline(random.chance(0.5));
      this.#until = now + (random.chance(0.5) ? random.int(100, 1_200) : random.int(5_000, 7_000));
    } else if (now > this.#until) client.goOnline();
  }

  killed() {}

  pause() {
    return this.random.int(20, 80);
  }
}
