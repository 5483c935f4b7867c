import { describe, expect, it } from "vitest";
import { ClientIds } from "../../../src/platform/connections/client-ids.ts";

const device = (sessionKey: string, clientId: string) => ({ sessionKey, clientId, username: undefined });

function clientIds(): { ids: ClientIds; ended: string[] } {
  const ended: string[] = [];
  return { ids: new ClientIds({ disconnect: (sessionKey) => ended.push(sessionKey) > 0 }), ended };
}

describe("[CONN-2] client ids that are unique", () => {
  it("another device with the same one ends the first, and a third the second", () => {
    const { ids, ended } = clientIds();
    ids.connected(device("pk/one", "same"));
    ids.connected(device("pk/two", "same"));
    // The first one's end comes behind the second one's beginning.
    ids.disconnected(device("pk/one", "same"));
    ids.connected(device("pk/three", "same"));
    expect(ended).toEqual(["pk/one", "pk/two"]);
  });

  it("a device that comes again with its own ends nobody", () => {
    const { ids, ended } = clientIds();
    ids.connected(device("pk/one", "same"));
    ids.connected(device("pk/one", "same"));
    expect(ended).toEqual([]);
  });

  it("one that has gone, and come back under another, is not ended for the one it had", () => {
    const { ids, ended } = clientIds();
    ids.connected(device("pk/one", "had"));
    ids.disconnected(device("pk/one", "had"));
    ids.connected(device("pk/one", "has"));
    ids.connected(device("pk/two", "had"));
    expect(ended).toEqual([]);
  });
});
