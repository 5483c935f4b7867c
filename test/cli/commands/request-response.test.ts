// The request/response loop of a 5.0 device [V5-8] with nothing but commands on the server's side: `upstream` prints what the
// device asks, `publish`, a process of its own, answers. Bytes that are no text must come back as they were.
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { deviceConnect, PK, secretOf } from "../../platform/signed-device.ts";
import { RawClient } from "../../support/raw-client.ts";
import type { Version } from "../../support/wire.ts";
import { type Ended, Workplace } from "../executable.ts";
import { timePasses } from "../../support/time.ts";

const NAME = "pump1";
const RESPONSE = `/${PK}/${NAME}/user/get`;
const REQUEST = `/${PK}/${NAME}/user/update`;
/** As many as are allowed; among them what ends lines, strings and UTF-8. */
const BYTES = [
  Buffer.from([0, 0x0a, 0x0d, 0x22, 0x5c, 0x80, 0xc3, 0x28, 0xff, 0xfe, 0]),
  Buffer.from(Array.from({ length: 128 }, (_, i) => i * 2)),
  randomBytes(128),
];

let workplace: Workplace;
let device: RawClient;
beforeEach(() => {
  workplace = new Workplace();
});
afterEach(() => {
  device?.destroy();
  workplace.close();
});

async function succeed(...args: string[]): Promise<Ended> {
  const ended = await workplace.command([...args, "--data", workplace.data]);
  expect([args, ended.code, ended.stderr]).toEqual([args, 0, expect.not.stringContaining("millrace:")]);
  return ended;
}

/** A broker with one device, which is connected and has subscribed where answers come. */
async function start(version: Version): Promise<void> {
  const flags = ["--listen", "tcp://localhost:0", "--log-level", "warn", "--rate-limits", "off"];
  const { ports } = await workplace.start(...flags);
  await succeed("product", "create", "--product-key", PK);
  await succeed("device", "create", PK, NAME, "--device-secret", secretOf(NAME));
  device = await RawClient.open({ port: ports[0] }, version);
  expect((await device.connect(deviceConnect(NAME))).reason).toBe(0);
  expect((await device.subscribe([{ filter: RESPONSE, qos: 1 }])).reasons).toEqual([1]);
}

interface Line {
  readonly topic: string;
  readonly payload: string;
  readonly properties: { readonly responseTopic?: string; readonly correlationData?: string };
}

/** What `upstream --count 1 --json` prints of what `ask` publishes, which it does until the command has seen it. */
async function oneUpstream(ask: () => Promise<unknown>): Promise<Line> {
  const reader = workplace.launch(["upstream", "--count", "1", "--json", "--data", workplace.data]);
  let ended = false;
  void reader.exited.then(() => {
    ended = true;
  });
  while (!ended) {
    await ask();
    // Between two questions the command has time to begin, or to end.
    await timePasses(50);
  }
  expect(await reader.exited).toBe(0);
  const lines = reader.output.text.trim().split("\n");
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0]) as Line;
}

test("[V5-8] [UP-1] request, upstream, answer: every byte of the CorrelationData comes back", {
  timeout: 90_000,
}, async () => {
  await start(5);
  for (const correlationData of BYTES) {
    const properties = { responseTopic: RESPONSE, correlationData };
    const asked = await oneUpstream(() => device.publish(REQUEST, "how warm?", { qos: 1, properties }));
    expect(asked).toMatchObject({ topic: REQUEST, payload: "how warm?" });
    const { responseTopic = "", correlationData: base64 = "" } = asked.properties;
    expect(responseTopic).toBe(RESPONSE);
    expect(base64).toBe(correlationData.toString("base64"));
    await succeed("publish", responseTopic, "21", "--qos", "1", "--correlation-data", base64);
    const answer = await device.next("publish");
    expect(answer).toMatchObject({ topic: RESPONSE, text: "21", qos: 1 });
    expect(answer.properties?.correlationData).toEqual(correlationData);
    expect(answer.properties?.responseTopic).toBeUndefined();
    device.send(device.wire.puback(answer.id));
  }
});

test("[V5-8] the server asks, with a topic for the answer", { timeout: 60_000 }, async () => {
  await start(5);
  for (const correlationData of BYTES) {
    const base64 = correlationData.toString("base64");
    await succeed("publish", RESPONSE, "?", "--response-topic", REQUEST, "--correlation-data", base64);
    const asked = await device.next("publish");
    expect(asked.properties).toMatchObject({ responseTopic: REQUEST, correlationData });
    const { responseTopic = "", ...properties } = asked.properties ?? {};
    const told = await oneUpstream(() => device.publish(responseTopic, "!", { qos: 1, properties }));
    expect(told).toMatchObject({ topic: REQUEST, properties: { correlationData: base64 } });
  }
});

test("[V5-8] [V5-15] to a device of 3.1.1 the answer comes without properties", {
  timeout: 60_000,
}, async () => {
  await start(4);
  const asked = await oneUpstream(() => device.publish(REQUEST, "how warm?", { qos: 1 }));
  expect(asked).toMatchObject({ topic: REQUEST, payload: "how warm?" });
  const base64 = BYTES[0].toString("base64");
  await succeed("publish", RESPONSE, "21", "--correlation-data", base64, "--response-topic", "r");
  expect(await device.next("publish")).toMatchObject({ topic: RESPONSE, text: "21" });
});
