// What the policy has answered is remembered for one client, one connection and one topic: an answer may be forgotten
// and asked for again, but nobody ever gets somebody else's.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as abi from "../../../../src/core/generated/abi.ts";
import { BUILDS, RouteCore } from "../core.ts";

const ALLOW = abi.VERDICT_ALLOW;
const DENY = 0x87 << abi.VERDICT_REASON_SHIFT;

describe.each(BUILDS)("%s build", (build) => {
  /** Publishes QoS 1; "asked", or the reason of the answer. */
  function ask(core: RouteCore, slot: number, topic: string): "asked" | number {
    const stop = core.route(slot, core.wire(slot).publish(topic, "", { qos: 1, id: 1 }));
    const [answer] = core.take(slot);
    if (stop === abi.STOP_VERDICT) {
      expect(answer).toBeUndefined();
      return "asked";
    }
    if (answer?.type !== "puback") throw new Error(`a ${answer?.type}`);
    return answer.reason;
  }
  const client = (core: RouteCore): number => core.open({ version: 5, flags: 0 });

  test("asked once, then known, for this client and topic only", () => {
    const core = new RouteCore(build);
    const [a, b] = [client(core), client(core)];
    expect(ask(core, a, "t")).toBe("asked");
    core.core.rememberVerdict(a, ALLOW);
    expect(ask(core, a, "t")).toBe(0x10);
    expect(ask(core, b, "t")).toBe("asked");
    core.core.rememberVerdict(b, DENY);
    expect(ask(core, b, "t")).toBe(0x87);
    expect(ask(core, a, "t")).toBe(0x10);
    expect(ask(core, a, "t/")).toBe("asked");
    expect(ask(core, a, "T")).toBe("asked");
  });

  test("an answer for once is for the very next packet", () => {
    const core = new RouteCore(build);
    const a = client(core);
    expect(ask(core, a, "t")).toBe("asked");
    core.core.setOnceVerdict(ALLOW);
    expect(ask(core, a, "t")).toBe(0x10);
    expect(ask(core, a, "t")).toBe("asked");
    core.core.setOnceVerdict(0x97 << abi.VERDICT_REASON_SHIFT);
    expect(ask(core, a, "t")).toBe(0x97);
    expect(ask(core, a, "t")).toBe("asked");
  });

  test("another connection, another life of the slot, another policy: asked again", () => {
    const core = new RouteCore(build);
    const a = client(core);
    const remember = (): void => {
      expect(ask(core, a, "t")).toBe("asked");
      core.core.rememberVerdict(a, ALLOW);
      expect(ask(core, a, "t")).toBe(0x10);
    };
    remember();
    core.core.goOffline(a);
    core.online(a, { version: 5, flags: 0 });
    remember();
    core.core.closeSlot(a);
    expect(client(core)).toBe(a);
    remember();
    core.core.forgetVerdicts();
    remember();
  });

  test("who is allowed everything is not asked, except about topics of the server", () => {
    const core = new RouteCore(build);
    const a = core.open({ version: 5 });
    expect(ask(core, a, "t")).toBe(0x10);
    expect(ask(core, a, "$SYS/x")).toBe("asked");
    core.core.rememberVerdict(a, DENY);
    expect(ask(core, a, "$SYS/x")).toBe(0x87);
    core.core.setSlotFlags(a, 0, abi.SLOT_ALLOW_ALL);
    expect(ask(core, a, "t")).toBe("asked");
  });

  test("more answers than there is room for: some are asked again, none is another's", () => {
    const core = new RouteCore(build);
    const slots = Array.from({ length: 40 }, () => client(core));
    const answers = new Map<string, number>();
    let asked = 0;
    for (let round = 0; round < 2; round++) {
      for (const slot of slots) {
        for (let topic = 0; topic < 2_500; topic++) {
          const key = `${slot} ${topic}`;
          const answer = ask(core, slot, `t/${topic}`);
          const own = (slot * 31 + topic * 17) % 2 === 0 ? 0x10 : 0x87;
          if (answer === "asked") {
            asked++;
            core.core.rememberVerdict(slot, own === 0x10 ? ALLOW : DENY);
            answers.set(key, own);
          } else if (answer !== own) throw new Error(`${key} got ${answer}`);
        }
      }
    }
    expect(asked).toBeGreaterThanOrEqual(100_000);
  }, 60_000); // nothing but work of the processor, which others may have

  test("random lives of slots", () => {
    const step = fc.record({
      kind: fc.constantFrom("ask", "ask", "ask", "ask", "close", "reconnect", "forget"),
      slot: fc.nat(3),
      topic: fc.constantFrom("a", "b", "a/b"),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const core = new RouteCore(build);
        const slots = Array.from({ length: 4 }, () => client(core));
        const known = new Map<string, number>();
        const forget = (slot?: number): void => {
          for (const key of [...known.keys()])
            if (slot === undefined || key.startsWith(`${slot} `)) known.delete(key);
        };
        let secret = 0;
        for (const one of steps) {
          const slot = slots[one.slot];
          const key = `${slot} ${one.topic}`;
          if (one.kind === "ask") {
            const answer = ask(core, slot, one.topic);
            expect(answer).toBe(known.get(key) ?? "asked");
            if (answer !== "asked") continue;
            // A reason of its own each time, so that a stranger's answer shows.
            secret = (secret + 1) % 0x7f;
            core.core.rememberVerdict(slot, (0x80 + secret) << abi.VERDICT_REASON_SHIFT);
            known.set(key, 0x80 + secret);
          } else if (one.kind === "forget") {
            core.core.forgetVerdicts();
            forget();
          } else {
            if (one.kind === "close") {
              core.core.closeSlot(slot);
              expect(core.core.openSlot(0)).toBe(slot);
            } else core.core.goOffline(slot);
            core.online(slot, { version: 5, flags: 0 });
            forget(slot);
          }
        }
      }),
      { numRuns: 100 },
    );
  });
});
