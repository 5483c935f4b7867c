// The packet catalogue: packets as raw bytes with what must come of them, right and wrong, for all three versions.
import { acknowledgementCases } from "./acknowledgement.ts";
import { connectCases } from "./connect.ts";
import { connectRefusals } from "./connect-refusals.ts";
import type { PacketCase } from "./format.ts";
import { publishCases } from "./publish.ts";
import { publishRefusals } from "./publish-refusals.ts";
import { sessionCases } from "./session.ts";
import { subscribeCases } from "./subscribe.ts";

export const catalogue: readonly PacketCase[] = [
  ...connectCases,
  ...connectRefusals,
  ...publishCases,
  ...publishRefusals,
  ...subscribeCases,
  ...acknowledgementCases,
  ...sessionCases,
];
