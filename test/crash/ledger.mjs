// What was promised, and whether it was kept. Knows every message, subscription and retained value with the moment, in
// events of this process, at which each was asked for and answered; what happened between the two may be either way.

/** Does a filter without a share prefix match a topic? */
export function matches(filter, topic) {
  const levels = filter.split("/");
  const names = topic.split("/");
  for (let i = 0; i < levels.length; i++) {
    if (levels[i] === "#") return true;
    if (i >= names.length || (levels[i] !== "+" && levels[i] !== names[i])) return false;
  }
  return levels.length === names.length;
}

export class Ledger {
  violations = [];
  counts = {
    sent: 0,
    acknowledged: 0,
    refused: 0,
    abandoned: 0,
    delivered: 0,
    again: 0,
    wills: 0,
    willsWaiting: 0,
    signIns: 0,
  };
  #now = 0;
  #messages = new Map();
  /** Not yet proved. */
  #open = new Set();
  /** name -> {bit, subscriptions} */
  #receivers = new Map();
  /** receiver and topic -> newest sequence number that came for the first time */
  #newest = new Map();
  #retained = new Map();
  #sequence = 0;

  violation(text) {
    this.violations.push(text);
  }

  // ---- publishers ----

  /** A message about to be sent. Without payload where `clear` is set: the topic's retained message goes. */
  message({ publisher, topic, qos, retain = false, clear = false, padding = 0 }) {
    const sequence = ++this.#sequence;
    const key = `${publisher} ${sequence}`;
    const payload = clear ? "" : `${topic} ${key} ${"x".repeat(padding)}`;
    const message = {
      key,
      sequence,
      publisher,
      topic,
      qos,
      retain,
      clear,
      payload: Buffer.from(payload),
      sentAt: ++this.#now,
      acknowledgedAt: undefined,
      /** Refused or given up: its sender does not send it again. */
      over: false,
      resent: false,
      /** Bits of those that have it. */
      had: 0,
    };
    this.counts.sent++;
    if (!clear) {
      this.#messages.set(key, message);
      this.#open.add(message);
    }
    if (retain) {
      const values = this.#retained.get(topic) ?? [];
      values.push(message);
      this.#retained.set(topic, values);
    }
    return message;
  }

  acknowledged(message) {
    message.acknowledgedAt = ++this.#now;
    this.counts.acknowledged++;
    const values = this.#retained.get(message.topic);
    if (!message.retain || values === undefined) return;
    // What was set before an acknowledged value can never be seen again; unless the store failed then: in that case it comes
    // a second time, behind this one, as its sender must send it again. And an acknowledgement that a failing store swallowed
    // may come behind those of later values: what it is for was set before them, and is not set again where the broker knows
    // its packet identifier. Not by their places here: those come from the order of acknowledgements.
    const possible = values.filter((one) =>
      one.sequence > message.sequence
        ? this.tolerant || one.acknowledgedAt === undefined
        : this.tolerant && one.acknowledgedAt === undefined && !one.over,
    );
    this.#retained.set(message.topic, [message, ...possible]);
  }

  refusedMessage(message) {
    message.over = true;
    this.#open.delete(message);
    this.counts.refused++;
  }

  /** Its sender has given it up unanswered: it may come or not. */
  abandoned(message) {
    message.over = true;
    this.#open.delete(message);
    this.counts.abandoned++;
  }

  /** It must not come: the Will of a client that said goodbye. */
  forbid(message) {
    message.forbidden = true;
    this.#open.delete(message);
  }

  // ---- subscribers ----

  receiver(name) {
    let receiver = this.#receivers.get(name);
    if (receiver === undefined) {
      if (this.#receivers.size === 31) throw new Error("too many receivers");
      receiver = { name, bit: 1 << this.#receivers.size, subscriptions: [] };
      this.#receivers.set(name, receiver);
    }
    return receiver;
  }

  subscribing(name, filter, qos) {
    const subscription = {
      filter,
      qos,
      askedAt: ++this.#now,
      grantedAt: undefined,
      leavingAt: undefined,
      leftAt: undefined,
    };
    this.receiver(name).subscriptions.push(subscription);
    return subscription;
  }

  subscribed(subscription, reason) {
    if (reason < 0x80) subscription.grantedAt = ++this.#now;
    else subscription.leavingAt ??= ++this.#now; // refused: it stands for nothing, but a message may have slipped in
    if (reason < 0x80 && reason !== subscription.qos)
      this.violation(`${subscription.filter}: granted QoS ${reason}`);
  }

  /** UNSUBSCRIBE is on its way: for all subscriptions of this filter. Returns the moment, for unsubscribed(). */
  unsubscribing(name, filter) {
    const now = ++this.#now;
    for (const one of this.receiver(name).subscriptions) if (one.filter === filter) one.leavingAt ??= now;
    return now;
  }

  /** The UNSUBSCRIBE of the moment `asked` is acknowledged; another one may be on its way behind it. */
  unsubscribed(name, filter, asked) {
    const now = ++this.#now;
    // What was asked for since then is another matter.
    for (const one of this.receiver(name).subscriptions)
      if (one.filter === filter && one.leavingAt <= asked) one.leftAt ??= now;
  }

  /** A clean start is on its way: what it had, and was owed, may go. */
  sessionEnding(name) {
    const now = ++this.#now;
    for (const one of this.receiver(name).subscriptions) {
      one.leavingAt ??= now;
      one.dropped = true;
    }
  }

  sessionEnded(name) {
    const now = ++this.#now;
    for (const one of this.receiver(name).subscriptions) {
      one.dropped = true;
      one.leavingAt ??= now;
      one.leftAt = 0; // nor what waited in its queue
    }
  }

  /** A message has come. `group`: the name under which shared ones are counted. */
  delivered(name, packet, group) {
    this.counts.delivered++;
    const { topic, payload, qos, retain } = packet;
    if (payload === "") return; // a cleared retained message, passed on as it is
    const [named, publisher, sequence] = payload.split(" ");
    const what = `${name}: message ${publisher} ${sequence} on ${topic}`;
    const message = this.#messages.get(`${publisher} ${sequence}`);
    if (message === undefined || named !== topic) {
      this.violation(`${what}: nobody sent that`);
      return;
    }
    if (message.forbidden) this.violation(`${what}: the Will of a client that said goodbye`);
    if (retain && !message.retain) this.violation(`${what}: retained, which it was not`);
    const shared = group !== undefined && topic.startsWith("s/");
    const receiver = this.receiver(shared ? group : name);
    const wide = receiver.subscriptions.filter((one) => matches(one.filter, topic));
    if (!wide.some((one) => one.leftAt === undefined || one.leftAt > message.sentAt)) {
      this.violation(`${what}: it has no subscription to that`);
      return;
    }
    if (!wide.some((one) => Math.min(one.qos, message.qos) === qos))
      this.violation(`${what}: with QoS ${qos}`);
    if ((message.had & receiver.bit) !== 0) {
      this.counts.again++;
      if (qos === 2) this.violation(`${what}: QoS 2 a second time`);
      return;
    }
    message.had |= receiver.bit;
    const place = `${name} ${publisher} ${topic}`;
    const newest = this.#newest.get(place) ?? 0;
    // What is sent again to a shared group may go to another member, and after a refusal, behind newer ones; and it comes
    // where it was not expected the first time.
    const expected = wide.some((one) => one.leavingAt === undefined && one.grantedAt < message.sentAt);
    if (message.sequence < newest && !(message.resent && (shared || this.tolerant || !expected)))
      this.violation(`${what}: behind ${newest}`);
    if (message.sequence > newest) this.#newest.set(place, message.sequence);
  }

  // ---- judgement ----

  /** Does anybody still have to get it? */
  owed(message) {
    for (const receiver of this.#receivers.values())
      if ((message.had & receiver.bit) === 0 && this.#owes(receiver, message)) return true;
    return false;
  }

  /** Acknowledged messages that somebody still has to get, as text. */
  missing() {
    const missing = [];
    for (const message of this.#open) {
      if (message.acknowledgedAt === undefined) continue;
      let proved = true;
      for (const receiver of this.#receivers.values()) {
        if ((message.had & receiver.bit) !== 0 || !this.#owes(receiver, message)) continue;
        proved = false;
        missing.push(`${receiver.name} lacks ${message.key} on ${message.topic} (QoS ${message.qos})`);
      }
      // It may still come a second time, which is looked at when it does.
      if (proved && this.settled) this.#open.delete(message);
    }
    return missing;
  }

  #owes(receiver, message) {
    return receiver.subscriptions.some(
      (one) =>
        one.grantedAt !== undefined &&
        one.grantedAt < message.sentAt &&
        !one.dropped &&
        (one.leavingAt === undefined || one.leavingAt > message.acknowledgedAt) &&
        matches(one.filter, message.topic),
    );
  }

  /** Are these retained messages (topic -> payload) what must be, or may be? */
  checkRetained(found) {
    for (const [topic, values] of this.#retained) {
      const payload = found.get(topic);
      const [oldest] = values;
      // Nothing was ever promised: the topic may be empty, too.
      const mayBeEmpty = oldest.acknowledgedAt === undefined || values.some((one) => one.clear);
      const fits =
        payload === undefined
          ? mayBeEmpty
          : values.some((one) => !one.clear && one.payload.toString() === payload);
      if (!fits)
        this.violation(
          `retained ${topic}: ${payload?.trim() ?? "nothing"}, not one of ${values
            .map((one) => (one.clear ? "nothing" : one.key) + (one.acknowledgedAt === undefined ? "?" : ""))
            .join(", ")}`,
        );
    }
    for (const topic of found.keys())
      if (!this.#retained.has(topic)) this.violation(`retained ${topic}: nobody set it`);
  }

  /** Unacknowledged ones that are kept out of the books from here on. */
  get unanswered() {
    let count = 0;
    for (const message of this.#open) if (message.acknowledgedAt === undefined) count++;
    return count;
  }
}
