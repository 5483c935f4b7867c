// Every engine that can be measured, in the order of the columns.
import aedes from "./aedes.mjs";
import flashmq from "./flashmq.mjs";
import aedesLevel from "./aedes-level.mjs";
import millrace, { levels } from "./millrace.mjs";
import mosquitto, { persistent } from "./mosquitto.mjs";
import relay from "./relay.mjs";

export const peers = [millrace, flashmq, mosquitto, aedes, relay];

/** Those that keep messages, and Millrace with none kept to compare with. */
export const durablePeers = [...levels, persistent, aedesLevel];

/** Splits `wanted` names into those installed here, with their versions, and those left out, with the remedy. */
export function findPeers(options, wanted, among = peers) {
  const found = new Map();
  const missing = [];
  for (const peer of among) {
    if (!wanted.includes(peer.name)) continue;
    const version = peer.version(options);
    if (version) found.set(peer.name, { peer, version });
    else missing.push(`${peer.name}: not installed (${peer.missing})`);
  }
  return { found, missing };
}
