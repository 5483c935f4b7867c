// `millrace device subscribe`, `unsubscribe` and `subscriptions`: topics subscribed for a device of the running broker, ended,
// and what it holds. Only a broker knows connections, so nothing is done where none runs.
import { OperationError } from "../../errors.ts";
import type { HeldSubscription } from "../../platform/contract/host.ts";
import type { SubscriptionsArguments } from "../arguments/platform-arguments.ts";
import { ask, dataDirectory } from "./platform-commands.ts";
import { type Output, printDocument, standardOutput } from "../registry/registry-output.ts";

/** ms for the broker's answer. */
const ANSWER_MS = 10_000;
/** Reason codes begin here; below are granted QoS. */
const REFUSED = 0x80;

export async function runSubscriptions(
  { device, topics, qos, json, data }: SubscriptionsArguments,
  output: Output = standardOutput,
): Promise<void> {
  const directory = dataDirectory(data);
  if (topics === undefined) {
    const held = await ask(directory, "device.subscriptions", device, ANSWER_MS);
    if (json) await printDocument(held as object, output);
    else await output((held as readonly HeldSubscription[]).map(heldLine).join(""));
    return;
  }
  const ends = qos === undefined;
  const call = ends ? "device.unsubscribe" : "device.subscribe";
  const codes = (await ask(directory, call, { ...device, topics, qos }, ANSWER_MS)) as readonly number[];
  const answers = topics.map((topic, i) => ({ topic, code: codes[i] }));
  if (json) await printDocument(answers, output);
  else await output(answers.map(({ topic, code }) => `${wordFor(code, ends)}  ${topic}\n`).join(""));
  const refused = answers.filter(({ code }) => code >= REFUSED).map(({ topic }) => topic);
  if (refused.length > 0)
    throw new OperationError(
      "SUBSCRIBE_REFUSED",
      ends
        ? `topic: ${refused.join(", ")}: not a subscription of this device, or it could not be struck off`
        : `topic: ${refused.join(", ")}: not one that this device may subscribe, or it has as many as it may`,
    );
}

function wordFor(code: number, ends: boolean): string {
  if (code >= REFUSED) return `0x${code.toString(16)} `;
  return ends ? (code === 0 ? "ended" : "none ") : `QoS ${code}`;
}

function heldLine({ filter, qos, since }: HeldSubscription): string {
  return `${new Date(since).toISOString()}  QoS ${qos}  ${filter}\n`;
}
