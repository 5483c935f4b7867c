// A publisher whose acknowledgements wait for a commit that is under way.
import type { HeldCommit, useHeldServer } from "../store/held-store.ts";
import type { RawClient } from "../support/raw-client.ts";
import { keptSession } from "../support/server.ts";
import type { Version } from "../support/wire.ts";

export interface CommitUnderWay {
  /** Online, with a kept session that is to get messages 1 and 2. */
  readonly receiver: RawClient;
  readonly publisher: RawClient;
  readonly commit: HeldCommit;
}

/** What the publisher gets when the commit has succeeded. */
export const ACKNOWLEDGEMENTS = [
  ["puback", 1],
  ["pubrec", 2],
  ["puback", 3],
] as const;

export async function commitUnderWay(
  { held, server }: ReturnType<typeof useHeldServer>,
  version: Version,
): Promise<CommitUnderWay> {
  const receiver = await server.connect(version, keptSession());
  await receiver.subscribe([{ filter: "t", qos: 1 }]);
  const publisher = await server.connect(version);
  held.hold();
  const { wire } = publisher;
  publisher.send(
    wire.publish("t", "1", { qos: 1, id: 1 }),
    wire.publish("t", "2", { qos: 2, id: 2 }),
    wire.publish("nobody", "3", { qos: 1, id: 3 }),
  );
  return { receiver, publisher, commit: await held.commits(1) };
}
