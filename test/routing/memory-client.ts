// Clients on pairs of streams inside this process: what one side writes is in the broker's hands before write() returns,
// so a test decides exactly what arrives while the broker is in the middle of something.
import { duplexPair } from "node:stream";
import type { Broker } from "../../src/broker.ts";
import { RawClient } from "../support/raw-client.ts";
import { unique } from "../support/server.ts";
import type { ConnectOptions, Version } from "../support/wire.ts";

const opened: RawClient[] = [];

/** Ends all of them, so that a broker which closes has nobody to wait for. */
export function dropMemoryClients(): void {
  for (const client of opened.splice(0)) client.stream.end();
}

export function openInMemory(broker: Broker, version: Version): RawClient {
  const [near, far] = duplexPair();
  broker.handle(far);
  const client = new RawClient(near, version);
  opened.push(client);
  return client;
}

export async function connectInMemory(
  broker: Broker,
  version: Version,
  options: ConnectOptions = {},
): Promise<RawClient> {
  const client = openInMemory(broker, version);
  await client.connect({ clientId: unique("memory"), ...options });
  return client;
}
