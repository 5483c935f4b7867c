import { describe, expect, test } from "vitest";
import { CROWD_TOPICS, CROWD_WILDCARDS, Crowds } from "../../../src/routing/sessions/crowds.ts";

function crowd(...held: [filter: string, ...slots: number[]][]): Crowds {
  const crowds = new Crowds();
  for (const [filter, ...slots] of held) for (const slot of slots) crowds.enter("c", filter, slot);
  return crowds;
}

describe("[TOPIC-9] receivers of one topic", () => {
  test("wildcards of different branches do not add up", () => {
    const crowds = crowd(["/b/x/#", 1, 2], ["/b/y/#", 3, 4]);
    expect(crowds.isFull("c", "/b/x/1", 5, 3)).toBe(false);
    expect(crowds.isFull("c", "/b/y/1", 5, 2)).toBe(true);
    expect(crowds.isFull("other", "/b/y/1", 5, 1)).toBe(false);
    // Over both of them: nobody can get both.
    expect(crowds.isFull("c", "/b/+/1", 5, 4)).toBe(true);
    expect(crowds.isFull("c", "/b/+/1", 5, 5)).toBe(false);
  });

  test("a session counts once, however often it gets the topic, until its last subscription is gone", () => {
    const crowds = crowd(["/b/x", 1, 1], ["/b/#", 1, 2]);
    expect(crowds.isFull("c", "/b/x", 3, 3)).toBe(false);
    expect(crowds.isFull("c", "/b/x", 3, 2)).toBe(true);
    crowds.leave("c", "/b/#", 1);
    crowds.leave("c", "/b/x", 1);
    expect(crowds.isFull("c", "/b/x", 3, 2)).toBe(true);
    crowds.leave("c", "/b/x", 1);
    expect(crowds.isFull("c", "/b/x", 3, 2)).toBe(false);
  });

  test("a wildcard is too much where one of the topics below it is full", () => {
    const crowds = crowd(["/b/x", 1, 2, 3], ["/b/y", 4]);
    expect(crowds.isFull("c", "/b/+", 5, 3)).toBe(true);
    expect(crowds.isFull("c", "/b/+", 3, 3)).toBe(false);
    expect(crowds.isFull("c", "/b/y/#", 5, 3)).toBe(false);
  });

  test.each([
    [CROWD_WILDCARDS - 1, false],
    [CROWD_WILDCARDS, true],
  ])("with %i different wildcards, is one more too much: %s", (count, full) => {
    const crowds = new Crowds();
    for (let i = 0; i < count; i++) crowds.enter("c", `/b/${i}/#`, i);
    expect(crowds.isFull("c", "/b/new/#", 9_999, 10)).toBe(full);
    expect(crowds.isFull("c", "/b/1/#", 9_999, 10)).toBe(false);
  });

  test.each([
    [CROWD_TOPICS, false],
    [CROWD_TOPICS + 1, true],
  ])("with %i topics, is a wildcard too much: %s", (count, full) => {
    const crowds = new Crowds();
    for (let i = 0; i < count; i++) crowds.enter("c", `/b/${i}`, i);
    expect(crowds.isFull("c", "/b/x/#", 99_999, 10)).toBe(full);
    expect(crowds.isFull("c", "/b/new", 99_999, 10)).toBe(false);
  });
});
