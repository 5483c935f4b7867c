// Clients of their own: a file with a line for each, client id, user name, password, topic published, topic subscribed, with
// tabs between. One that has both topics is one connection. The file, not the scenario, says who sends what to whom.
import { readFileSync } from "node:fs";
import { matches } from "./plan.mjs";

export function readCredentials(path) {
  return readFileSync(path, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [clientId, username, password, publish, subscribe] = line.split("\t");
      return { clientId, username, password, publish, subscribe };
    });
}

/** A plan of the first `pubs` that publish and the first `subs` that subscribe; both know their row. */
export function planOf(rows, { scenario, pubs, subs }) {
  if (scenario === "conns") {
    const bare = pubs ?? rows.length;
    if (bare > rows.length) throw new Error(`the file of clients has ${rows.length} lines, ${bare} wanted`);
    return { streams: [], publishers: [], subscribers: [], bare };
  }
  const publishers = rows.filter(({ publish }) => publish).slice(0, pubs);
  const subscribers = rows.filter(({ subscribe }) => subscribe).slice(0, subs);
  if (publishers.length < (pubs ?? 1) || subscribers.length < (subs ?? 1))
    throw new Error(
      `the file of clients has ${publishers.length} publishers and ${subscribers.length} subscribers`,
    );
  const streams = publishers.map(({ publish }, index) => ({
    index,
    topic: publish,
    nextSequence: 0,
    receivers: 0,
  }));
  const plan = {
    streams,
    publishers: publishers.map((row, index) => ({ streams: [streams[index]], row })),
    subscribers: subscribers.map((row) => ({
      filter: row.subscribe,
      shared: false,
      receives: (topic) => matches(row.subscribe, topic),
      row,
    })),
    bare: 0,
  };
  for (const subscriber of plan.subscribers)
    for (const stream of streams) if (subscriber.receives(stream.topic)) stream.receivers++;
  return plan;
}
