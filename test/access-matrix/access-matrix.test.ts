// The one door, cell by cell: every way a message enters or leaves, in each version, on a topic that is allowed and on
// one that is not. A cell says how many copies come out; a fence that goes the same way behind it proves the count.
import { describe, expect } from "vitest";
import { BOTH, ours, unique, useServer } from "../support/server.ts";
import type { Version } from "../support/wire.ts";
import {
  type Exit,
  inFlight,
  live,
  type OpenEntrance,
  publishing,
  publishingByAlias,
  publishingFromServer,
  queued,
  receivedBefore,
  redistributed,
  resumed,
  retained,
  willAtConnect,
  willAtSessionEnd,
  willByTheClock,
  willThatFires,
} from "./paths.ts";
import { policy } from "./policy.ts";

/** Copies that arrive; undefined: the version has no such path. */
type Cell = number | undefined;
interface Row {
  readonly path: string;
  readonly allowed: { readonly 4: Cell; readonly 5: Cell };
  readonly forbidden: { readonly 4: Cell; readonly 5: Cell };
}
interface Entry extends Row {
  readonly open: OpenEntrance;
  /** Looked for by a subscription made afterwards: is it kept? */
  readonly late?: boolean;
}
interface Leave extends Row {
  readonly exit: Exit;
}

const ONE = { 4: 1, 5: 1 } as const;
const NONE = { 4: 0, 5: 0 } as const;
const ONLY_5 = { 4: undefined, 5: 1 } as const;
const NONE_5 = { 4: undefined, 5: 0 } as const;
const LARGE = Buffer.alloc(300 * 1_024, 1);

const ENTRANCES: Entry[] = [
  { path: "PUBLISH QoS 0", allowed: ONE, forbidden: NONE, open: publishing({ qos: 0 }) },
  { path: "PUBLISH QoS 1", allowed: ONE, forbidden: NONE, open: publishing({ qos: 1 }) },
  { path: "PUBLISH QoS 2", allowed: ONE, forbidden: NONE, open: publishing({ qos: 2 }) },
  { path: "PUBLISH QoS 2 of a persistent session", allowed: ONE, forbidden: NONE, open: publishing({ qos: 2 }, { persistent: true }) },
  { path: "large PUBLISH QoS 0", allowed: ONE, forbidden: NONE, open: publishing({ qos: 0 }, { payload: LARGE }) },
  { path: "large PUBLISH QoS 1", allowed: ONE, forbidden: NONE, open: publishing({ qos: 1 }, { payload: LARGE }) },
  { path: "large PUBLISH QoS 2 of a persistent session", allowed: ONE, forbidden: NONE, open: publishing({ qos: 2 }, { payload: LARGE, persistent: true }) },
  { path: "retained PUBLISH, to who is there", allowed: ONE, forbidden: NONE, open: publishing({ qos: 1, retain: true }) },
  { path: "retained PUBLISH, to who comes later", allowed: ONE, forbidden: NONE, open: publishing({ qos: 1, retain: true }), late: true },
  { path: "PUBLISH with a Topic Alias", allowed: { 4: undefined, 5: 2 }, forbidden: NONE_5, open: publishingByAlias },
  { path: "Will, asked at CONNECT", allowed: ONE, forbidden: NONE, open: willAtConnect },
  { path: "Will, forbidden since CONNECT", allowed: ONE, forbidden: NONE, open: willThatFires },
  { path: "delayed Will, its session ends", allowed: ONLY_5, forbidden: NONE_5, open: willAtSessionEnd },
  { path: "delayed Will, its time has come", allowed: ONLY_5, forbidden: NONE_5, open: willByTheClock },
  // The embedder is no client: no policy is asked.
  { path: "broker.publish()", allowed: ONE, forbidden: ONE, open: publishingFromServer },
]; // biome-ignore format: a table

const EXITS: Leave[] = [
  { path: "live, QoS 0", allowed: ONE, forbidden: NONE, exit: live(0) },
  { path: "live, QoS 1", allowed: ONE, forbidden: NONE, exit: live(1) },
  { path: "live, QoS 2", allowed: ONE, forbidden: NONE, exit: live(2) },
  { path: "live, shared", allowed: ONE, forbidden: NONE, exit: live(1, "$share/live/") },
  { path: "queued, QoS 1", allowed: ONE, forbidden: NONE, exit: queued(1) },
  { path: "queued, QoS 2", allowed: ONE, forbidden: NONE, exit: queued(2) },
  { path: "queued, shared", allowed: ONE, forbidden: NONE, exit: queued(1, "$share/queued/") },
  { path: "in flight, repeated", allowed: ONE, forbidden: NONE, exit: inFlight },
  { path: "retained", allowed: ONE, forbidden: NONE, exit: retained },
  { path: "queued for another user's session", allowed: ONE, forbidden: NONE, exit: resumed({ late: false }) },
  { path: "live to another user's session", allowed: ONE, forbidden: NONE, exit: resumed({ late: true }) },
  { path: "a shared message handed on, to who may not join", allowed: ONE, forbidden: NONE, exit: redistributed("asks") },
  { path: "a shared message handed on, to a member that is away", allowed: ONE, forbidden: NONE, exit: redistributed("away") },
]; // biome-ignore format: a table

interface Walk {
  readonly name: string;
  readonly topic: string;
  readonly version: Version;
  readonly copies: number;
}

/** The cells of a row that exist. */
function* cellsOf(row: Row): Generator<Walk> {
  for (const [label, version] of BOTH) {
    for (const topic of ["allowed", "forbidden"] as const) {
      const copies = row[topic][version as 4 | 5];
      if (copies === undefined) continue;
      const outcome = copies === 0 ? "stays" : copies === 1 ? "arrives" : `arrives ${copies} times`;
      yield { name: `${label}, ${topic}: ${outcome}`, topic: unique(`${topic}/`), version, copies };
    }
  }
}

const server = useServer({ sysInterval: 0, profile: policy });

describe.each(ENTRANCES)("enters by $path", (row) => {
  for (const { name, topic, version, copies } of cellsOf(row)) {
    ours(name, async () => {
      const fence = unique("allowed/fence");
      const watcher = await server.connect(version, { username: "admin" });
      const watch = async (): Promise<void> => {
        for (const filter of [topic, fence]) await watcher.subscribe([{ filter, qos: 2 }]);
      };
      if (!row.late) await watch();
      const enter = await row.open(server, version);
      await enter(topic);
      await enter(fence);
      if (row.late) await watch();
      expect(await receivedBefore(watcher, fence)).toEqual(Array(copies).fill(topic));
    });
  }
});

describe.each(EXITS)("leaves: $path", (row) => {
  for (const { name, topic, version, copies } of cellsOf(row)) {
    ours(name, async () => {
      const topics = await row.exit(server, version, topic, unique("allowed/fence"));
      expect(topics).toEqual(Array(copies).fill(topic));
    });
  }
});
