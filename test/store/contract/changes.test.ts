// What is carried over when a group of changes cannot be written: facts a refusal does not undo, and nothing it does.
import { expect, test } from "vitest";
import { Changes } from "../../../src/store/contract/changes.ts";
import { DELIVERED } from "../../../src/store/contract/records.ts";
import { StoredSession } from "../kept-state.ts";

const session = new StoredSession(1);
const inboundOf = (changes: Changes): [number, Buffer | undefined][] => [
  ...(changes.sessions.get(1)?.inbound ?? []),
];

test("a message delivered in the same group as its id was freed: the id is held again, the message is not delivered twice", () => {
  const changes = new Changes();
  changes.delivered(session, 7);
  changes.released(session, 7);
  expect(inboundOf(changes)).toEqual([[7, undefined]]);
  expect(inboundOf(changes.carriedOver())).toEqual([[7, DELIVERED]]);
});

test("the same over two batches of a group, and carried over twice", () => {
  const changes = new Changes();
  changes.delivered(session, 7);
  const later = new Changes();
  later.released(session, 7);
  changes.merge(later);
  const carried = changes.carriedOver();
  carried.merge(new Changes());
  expect(inboundOf(carried.carriedOver())).toEqual([[7, DELIVERED]]);
});

test("an id freed whose message was delivered before is not touched, and a refused message is forgotten", () => {
  const changes = new Changes();
  changes.released(session, 7);
  changes.inbound(session, 8, Buffer.from("refused"));
  expect(inboundOf(changes.carriedOver())).toEqual([]);
});

test("an id that is used again begins anew", () => {
  const changes = new Changes();
  changes.delivered(session, 7);
  changes.released(session, 7);
  changes.inbound(session, 7, Buffer.from("next"));
  expect(inboundOf(changes)).toEqual([[7, Buffer.from("next")]]);
  expect(inboundOf(changes.carriedOver())).toEqual([[7, DELIVERED]]);
});

test("a message that has reached some stays in the store with what it has reached, refused or not, until it is delivered", () => {
  const message = Buffer.from("message");
  const changes = new Changes();
  changes.inbound(session, 7, message);
  changes.partlyDelivered(session, 7, message, Buffer.from("some"));
  expect(inboundOf(changes)).toEqual([[7, Buffer.from("messagesome")]]);
  expect(inboundOf(changes.carriedOver())).toEqual([[7, Buffer.from("messagesome")]]);
  const later = new Changes();
  later.delivered(session, 7);
  changes.merge(later);
  expect(inboundOf(changes)).toEqual([[7, DELIVERED]]);
  expect(inboundOf(changes.carriedOver())).toEqual([[7, DELIVERED]]);
});
