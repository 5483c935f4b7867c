// Every path by which a message enters the broker or leaves it, as something a test can walk. A path must work the same
// for the message in question and for the fence behind it, so that a path that carries nothing is noticed.
import type { RawClient } from "../support/raw-client.ts";
import { type TestServer, unique } from "../support/server.ts";
import type { Bytes, ConnectOptions, PublishOptions, Qos, Version } from "../support/wire.ts";
import { lent } from "./policy.ts";

/** Sends one message on each topic it is called with, one after the other. */
export type Entrance = (topic: string) => Promise<void>;
export type OpenEntrance = (server: TestServer, version: Version) => Promise<Entrance>;
/** Brings `topic` and then `fence` to a client without rights; returns the topics that came before the fence. */
export type Exit = (server: TestServer, version: Version, topic: string, fence: string) => Promise<string[]>;

const CLIENT = "client";
const ADMIN = "admin";
const EVER = { sessionExpiryInterval: 1_000 };

const kept = (clientId: string, username: string): ConnectOptions => ({
  clientId,
  username,
  clean: false,
  properties: EVER,
});

/** While `work` runs everybody may do everything with this topic. */
async function lend<T>(topic: string, work: () => Promise<T>): Promise<T> {
  lent.add(topic);
  try {
    return await work();
  } finally {
    lent.delete(topic);
  }
}

// ---- Entrances -------------------------------------------------------------------------------------------------

export function publishing(
  options: PublishOptions,
  { payload = "x", persistent = false }: { payload?: Bytes; persistent?: boolean } = {},
): OpenEntrance {
  return async (server, version) => {
    const session = persistent ? kept(unique("kept"), CLIENT) : { username: CLIENT };
    const client = await server.connect(version, session);
    return async (topic) => {
      await client.publish(topic, payload, options);
    };
  };
}

/** Sets an alias, then uses it: two messages. */
export const publishingByAlias: OpenEntrance = async (server, version) => {
  const client = await server.connect(version, { username: CLIENT });
  const options: PublishOptions = { qos: 1, properties: { topicAlias: 1 } };
  return async (topic) => {
    await client.publish(topic, "x", options);
    await client.publish("", "x", options);
  };
};

export const publishingFromServer: OpenEntrance = async (server) => (topic) =>
  server.broker.publish({ topic, payload: "x", qos: 1 });

/** The CONNECT that brings the Will is refused where its topic is; otherwise the connection breaks off. */
export const willAtConnect: OpenEntrance = async (server, version) => async (topic) => {
  const client = await server.open(version);
  client.send(client.wire.connect({ clientId: unique("will"), username: CLIENT, will: { topic, qos: 1 } }));
  const { reason } = await client.next("connack");
  if (reason === 0) await breakOff(client);
};

/** Accepted at CONNECT, asked again when it fires. */
export const willThatFires: OpenEntrance = async (server, version) => async (topic) => {
  const client = await lend(topic, () =>
    server.connect(version, { username: CLIENT, will: { topic, qos: 1 } }),
  );
  await breakOff(client);
};

/** Waits for its delay, and is due because its session ends. */
export const willAtSessionEnd: OpenEntrance = async (server, version) => async (topic) => {
  const clientId = unique("will");
  const client = await lend(topic, () => server.connect(version, withDelayedWill(clientId, topic, 500)));
  await breakOff(client);
  await server.connect(version, { clientId, username: CLIENT });
};

/** Waits for its delay, and the clock sends it. Wills of the same delay are sent in the order they were armed. */
export const willByTheClock: OpenEntrance = async (server, version) => async (topic) => {
  const client = await lend(topic, () => server.connect(version, withDelayedWill(unique("will"), topic, 1)));
  await breakOff(client);
};

function withDelayedWill(clientId: string, topic: string, willDelayInterval: number): ConnectOptions {
  return { ...kept(clientId, CLIENT), will: { topic, qos: 1, properties: { willDelayInterval } } };
}

/** A protocol error ends the connection abnormally; when the close is seen here, the server has dealt with it. */
async function breakOff(client: RawClient): Promise<void> {
  client.send(client.wire.connect({ clientId: "second CONNECT" }));
  await client.closed();
}

// ---- Exits -----------------------------------------------------------------------------------------------------

/** Topics received before the fence. */
export async function receivedBefore(client: RawClient, fence: string): Promise<string[]> {
  const topics: string[] = [];
  for (;;) {
    const { topic } = await client.receive();
    if (topic === fence) return topics;
    topics.push(topic);
  }
}

async function send(server: TestServer, topics: string[], qos: Qos, retain = false): Promise<void> {
  for (const topic of topics) await server.broker.publish({ topic, payload: "x", qos, retain });
}

export function live(qos: Qos, prefix = ""): Exit {
  return async (server, version, topic, fence) => {
    const client = await server.connect(version, { username: CLIENT });
    await client.subscribe([{ filter: prefix + topic, qos }]);
    await client.subscribe([{ filter: fence, qos }]);
    await send(server, [topic, fence], qos);
    return receivedBefore(client, fence);
  };
}

/** Subscribed while it was allowed, queued while away, no longer allowed when the client is back. */
export function queued(qos: Qos, prefix = ""): Exit {
  return async (server, version, topic, fence) => {
    const session = kept(unique("queued"), CLIENT);
    const before = await server.connect(version, session);
    await lend(topic, () => before.subscribe([{ filter: prefix + topic, qos }]));
    await before.subscribe([{ filter: fence, qos }]);
    await before.disconnect();
    await send(server, [topic, fence], qos);
    return receivedBefore(await server.connect(version, session), fence);
  };
}

/** Sent and not acknowledged before the right was lost. */
export const inFlight: Exit = async (server, version, topic, fence) => {
  const session = kept(unique("inflight"), CLIENT);
  const before = await server.connect(version, session);
  await lend(topic, () => before.subscribe([{ filter: topic, qos: 1 }]));
  await before.subscribe([{ filter: fence, qos: 1 }]);
  await send(server, [topic, fence], 1);
  await before.next("publish");
  await before.next("publish");
  await before.disconnect();
  return receivedBefore(await server.connect(version, session), fence);
};

/** By a filter that shows nothing of the topic: the message itself is what is refused. */
export const retained: Exit = async (server, version, topic, fence) => {
  await send(server, [topic, fence], 1, true);
  const client = await server.connect(version, { username: CLIENT });
  await client.subscribe([{ filter: topic.replace(/^[^/]+/, "+"), qos: 1 }]);
  await client.subscribe([{ filter: fence, qos: 1 }]);
  return receivedBefore(client, fence);
};

/** The session is the admin's; the client comes with the same identifier. `late`: the message comes after him. */
export function resumed({ late }: { late: boolean }): Exit {
  return async (server, version, topic, fence) => {
    const clientId = unique("resumed");
    const admin = await server.connect(version, kept(clientId, ADMIN));
    await admin.subscribe([{ filter: topic, qos: 1 }]);
    await admin.subscribe([{ filter: fence, qos: 1 }]);
    await admin.disconnect();
    if (!late) await send(server, [topic, fence], 1);
    const client = await server.connect(version, kept(clientId, CLIENT));
    if (!client.connack.sessionPresent) throw new Error("the session was not resumed");
    if (late) await send(server, [topic, fence], 1);
    return receivedBefore(client, fence);
  };
}

/** A member ends and owes a message to its group, whose other member is the client: `member` says how he came in. */
export function redistributed(member: "asks" | "away"): Exit {
  return async (server, version, topic, fence) => {
    const filter = `$share/${unique("group")}/${topic}`;
    const admin = await server.connect(version, { username: ADMIN });
    await admin.subscribe([{ filter, qos: 1 }]);
    await send(server, [topic], 1);
    await admin.next("publish");
    const session = kept(unique("member"), CLIENT);
    let client = await server.connect(version, session);
    await client.subscribe([{ filter: fence, qos: 1 }]);
    if (member === "asks") await client.subscribe([{ filter, qos: 1 }]);
    else {
      await lend(topic, () => client.subscribe([{ filter, qos: 1 }]));
      await client.disconnect();
    }
    await admin.disconnect();
    await send(server, [fence], 1);
    if (member === "away") client = await server.connect(version, session);
    return receivedBefore(client, fence);
  };
}
