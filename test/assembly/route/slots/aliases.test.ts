// Topic aliases, both ways, against what they are for: the topic a receiver makes of each packet.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as abi from "../../../../src/core/generated/abi.ts";
import type { Publish } from "../../../support/packet.ts";
import { BUILDS, RouteCore } from "../core.ts";

const topic = fc.oneof(
  fc.constantFrom("a", "a/b", "long/enough", "$sys/x", "long/enough/too", "/", "é/ü"),
  fc.stringMatching(/^[a-z/]{1,12}$/),
);

describe.each(BUILDS)("%s build", (build) => {
  test("the client's aliases agree with a map; wrong ones are refused", () => {
    const step = fc.record({ alias: fc.integer({ min: 1, max: 6 }), topic: fc.option(topic, { nil: "" }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const core = new RouteCore(build);
        const from = core.open({ version: 5, aliasInMax: 5 });
        const to = core.open();
        core.subscribe(to, "#", 0);
        core.subscribe(to, "$sys/#", 0);
        // Topics that begin with $ are nobody's by default.
        const model = new Map<number, string>();
        for (const one of steps) {
          const stop = core.route(
            from,
            core.wire(from).publish(one.topic, "", { properties: { topicAlias: one.alias } }),
          );
          const sent = core.take(to) as Publish[];
          if (one.alias > 5) {
            expect([stop, core.word(abi.H_REASON)]).toEqual([abi.STOP_ERROR, 0x94]);
            return;
          }
          if (one.topic === "" && !model.has(one.alias)) {
            expect([stop, core.word(abi.H_REASON)]).toEqual([abi.STOP_ERROR, 0x82]);
            return;
          }
          if (one.topic !== "") model.set(one.alias, one.topic);
          const name = model.get(one.alias) as string;
          if (name.startsWith("$")) {
            expect(stop).toBe(abi.STOP_VERDICT);
            expect(sent).toEqual([]);
          } else expect(sent.map((message) => message.topic)).toEqual([name]);
        }
      }),
      { numRuns: 200 },
    );
  });

  test.each([-1, 0, 1])(
    "their bytes are bounded, %i beyond; replacing one counts the new one only",
    (beyond) => {
      const core = new RouteCore(build);
      core.core.setAliasByteLimit(100);
      const from = core.open({ version: 5, aliasInMax: 5 });
      const set = (alias: number, length: number): number =>
        core.route(
          from,
          core.wire(from).publish("x".repeat(length), "", { properties: { topicAlias: alias } }),
        );
      for (let i = 0; i < 10; i++) expect(set(1, 60 + (i % 2))).toBe(abi.STOP_DONE);
      expect(set(1, 60)).toBe(abi.STOP_DONE);
      const stop = set(2, 40 + beyond);
      if (beyond <= 0) expect(stop).toBe(abi.STOP_DONE);
      else expect([stop, core.word(abi.H_REASON)]).toEqual([abi.STOP_ERROR, 0x97]);
    },
  );

  test("whatever the broker aliases, each receiver makes the right topic of it", () => {
    const step = fc.record({
      topic,
      qos: fc.constantFrom(0 as const, 1 as const),
      id: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 0, max: 4 }),
        (steps, max) => {
          const core = new RouteCore(build);
          const from = core.open({ version: 5 });
          const receivers = [max, 0, 65_535].map((aliasOutMax) => core.open({ version: 5, aliasOutMax }));
          for (const slot of receivers) core.subscribe(slot, "#", 1, slot === receivers[0] ? 7 : 0);
          const open = steps.filter((one) => !one.topic.startsWith("$"));
          core.route(
            from,
            ...open.map((one, i) => core.wire(from).publish(one.topic, `${i}`, { qos: one.qos, id: i + 1 })),
          );
          for (const [i, slot] of receivers.entries()) {
            const known = new Map<number, string>();
            const messages = core.take(slot) as Publish[];
            expect(messages).toHaveLength(open.length);
            for (const [n, message] of messages.entries()) {
              const alias = message.properties.topicAlias;
              if (alias !== undefined) {
                expect(alias).toBeLessThanOrEqual([max, 0, 65_535][i]);
                if (message.topic !== "") known.set(alias, message.topic);
              }
              const name = message.topic === "" ? known.get(alias ?? 0) : message.topic;
              expect(name).toBe(open[n].topic);
              expect(message.text).toBe(`${n}`);
            }
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  test("aliases end with the connection, on both sides", () => {
    const core = new RouteCore(build);
    const from = core.open({ version: 5, aliasInMax: 5 });
    const to = core.open({ version: 5, aliasOutMax: 5 });
    core.subscribe(to, "#", 0);
    const { wire } = { wire: core.wire(from) };
    core.route(from, wire.publish("some/topic", "", { properties: { topicAlias: 1 } }));
    core.route(from, wire.publish("", "", { properties: { topicAlias: 1 } }));
    expect((core.take(to) as Publish[]).map((message) => message.topic)).toEqual(["some/topic", ""]);
    for (const slot of [from, to]) core.core.goOffline(slot);
    core.online(from, { version: 5, aliasInMax: 5 });
    core.online(to, { version: 5, aliasOutMax: 5 });
    core.route(from, wire.publish("some/topic", ""));
    expect((core.take(to) as Publish[])[0]).toMatchObject({ topic: "some/topic" });
    expect(core.route(from, wire.publish("", "", { properties: { topicAlias: 1 } }))).toBe(abi.STOP_ERROR);
  });
});
