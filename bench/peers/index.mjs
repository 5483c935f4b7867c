// Every engine that can be measured, in the order of the columns.
import aedes from "./aedes.mjs";
import flashmq from "./flashmq.mjs";
import millrace from "./millrace.mjs";
import mosquitto from "./mosquitto.mjs";
import relay from "./relay.mjs";

export const peers = [millrace, flashmq, mosquitto, aedes, relay];

/** Splits `wanted` names into those installed here, with their versions, and those left out, with the remedy. */
export function findPeers(options, wanted) {
  const found = new Map();
  const missing = [];
  for (const peer of peers) {
    if (!wanted.includes(peer.name)) continue;
    const version = peer.version(options);
    if (version) found.set(peer.name, { peer, version });
    else missing.push(`${peer.name}: not installed (${peer.missing})`);
  }
  return { found, missing };
}
