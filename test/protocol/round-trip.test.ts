import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodePacket } from "../../src/protocol/packet-encoder.ts";
import type { ProtocolLevel } from "../../src/protocol/packet-types.ts";
import { cores } from "../assembly/support.ts";
import { packetOf } from "./arbitraries.ts";

describe.each(cores)("what was encoded comes back from the $name build", (core) => {
  it.each<ProtocolLevel>([3, 4, 5])("level %i", (level) => {
    fc.assert(
      fc.property(packetOf(level), (packet) => {
        const bytes = encodePacket(packet, level);
        expect(core.decode(bytes, level)).toEqual({
          result: 0,
          detail: 0,
          offset: 0,
          total: bytes.length,
          packet,
        });
      }),
      { numRuns: 2000 },
    );
  });
});
