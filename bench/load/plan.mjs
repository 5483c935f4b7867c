// Turns a scenario into publishers, subscribers and streams. A stream is one publisher on one topic: MQTT orders the
// messages of a stream, so sequence numbers are counted per stream.

/** MQTT's matching rule, as plainly as it can be said; decides which streams a subscriber must receive. */
export function matches(filter, topic) {
  const levels = topic.split("/");
  const wanted = filter.split("/");
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === "#") return true;
    if (i >= levels.length || (wanted[i] !== "+" && wanted[i] !== levels[i])) return false;
  }
  return wanted.length === levels.length;
}

const topicOf = (index) => `bench/${index}/up`;
const wildTopic = (index) => `bench/a${index % 10}/b${Math.floor(index / 10) % 10}/n${index}`;

function wildFilter(index, topics) {
  const i = index % topics;
  const [site, block] = [i % 10, Math.floor(i / 10) % 10];
  switch (index % 5) {
    case 0:
      return wildTopic(i);
    case 1:
      return `bench/a${site}/+/n${i}`;
    case 2:
      return `bench/a${site}/#`;
    case 3:
      return `bench/+/b${block}/+`;
    default:
      return `bench/+/b${block}/n${i}/#`; // matches the parent level too
  }
}

/** Defaults of `pubs`, `subs` and `topics` for each scenario. */
function counts({ scenario, pubs, subs, topics }) {
  const publishers = pubs ?? { fanin: 50, fanout: 1, store: 1, conns: 0 }[scenario] ?? 10;
  const subscribers =
    subs ?? { fanin: 1, fanout: 100, share: 10, store: 100, wild: 100, conns: 0 }[scenario] ?? publishers;
  const spread = topics ?? { wild: 100, store: subscribers, fanout: 1, share: 1 }[scenario] ?? publishers;
  return { publishers, subscribers, spread };
}

export function makePlan(options) {
  const { scenario } = options;
  const { publishers, subscribers, spread } = counts(options);
  if (scenario === "conns") return { streams: [], publishers: [], subscribers: [], bare: publishers };
  const streams = [];
  const plan = { streams, publishers: [], subscribers: [], bare: 0 };
  const addStream = (publisher, topic) => {
    const stream = { index: streams.length, topic, nextSequence: 0, receivers: 0 };
    streams.push(stream);
    publisher.streams.push(stream);
  };
  for (let p = 0; p < publishers; p++) {
    const publisher = { streams: [] };
    plan.publishers.push(publisher);
    if (scenario === "fanout" || scenario === "share") addStream(publisher, topicOf(0));
    else if (scenario === "p2p" || scenario === "latency") addStream(publisher, topicOf(p));
    else {
      const topic = scenario === "wild" ? wildTopic : topicOf;
      for (let t = p % spread; t < spread; t += publishers) addStream(publisher, topic(t));
    }
  }
  for (let s = 0; s < subscribers; s++) {
    const filter = {
      fanin: "bench/+/up",
      fanout: topicOf(0),
      share: topicOf(0),
      wild: wildFilter(s, spread),
      store: topicOf(s % spread),
    }[scenario];
    const subscriber = { filter: filter ?? topicOf(s % publishers), shared: scenario === "share" };
    subscriber.receives = (topic) => matches(subscriber.filter, topic);
    plan.subscribers.push(subscriber);
    for (const stream of streams) if (subscriber.receives(stream.topic)) stream.receivers++;
  }
  if (scenario === "share") for (const stream of streams) stream.receivers = 1;
  return plan;
}
