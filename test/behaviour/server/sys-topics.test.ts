// $SYS/broker/…: what the broker says about itself, under the names Mosquitto's users know.
import { describe, expect, test } from "vitest";
import { ALL, BOTH, eventually, ours, TestServer, unique, useServer } from "../../support/server.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { secondsPass, useManualClock } from "../../support/time.ts";

useManualClock();
const server = useServer({ sysInterval: 1, mosquitto: ["sys_interval 1"] });

const NAMES = [
  "version", "uptime", "clients/connected", "clients/total", "clients/disconnected", "clients/maximum", "clients/active",
  "clients/inactive", "clients/expired", "heap/current", "heap/maximum", "messages/received", "messages/sent",
  "messages/stored", "store/messages/count", "store/messages/bytes", "publish/messages/received", "publish/messages/sent",
  "publish/messages/dropped", "publish/bytes/received", "publish/bytes/sent", "bytes/received", "bytes/sent",
  "subscriptions/count", "shared_subscriptions/count", "retained messages/count",
  ...["connections", "sockets", "bytes/received", "bytes/sent", "messages/received", "messages/sent", "publish/received",
    "publish/sent", "publish/dropped"].flatMap((name) => [1, 5, 15].map((minutes) => `load/${name}/${minutes}min`)),
]; // biome-ignore format: a list

/** Reads $SYS until `enough` accepts what has come. */
async function readSys(
  client: RawClient,
  enough: (values: Map<string, string>) => boolean,
): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  await eventually(async () => {
    await secondsPass();
    for (const packet of await client.fence())
      if (packet.type === "publish") values.set(packet.topic, packet.text);
    return enough(values);
  }, "enough $SYS topics");
  return values;
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("every name Mosquitto has is there, in the right form", async () => {
    const client = await server.connect(version);
    await client.subscribe("$SYS/broker/#");
    const values = await readSys(
      client,
      (seen) =>
        NAMES.every((name) => seen.has(`$SYS/broker/${name}`)) &&
        Number(seen.get("$SYS/broker/clients/connected")) >= 1,
    );
    expect(values.get("$SYS/broker/version")).toMatch(/^(millrace|mosquitto) version \d+\.\d+\.\d+/i);
    expect(values.get("$SYS/broker/uptime")).toMatch(/^\d+ seconds$/);
    for (const name of NAMES.slice(2)) {
      const form = name.startsWith("load/") ? /^-?\d+\.\d\d$/ : /^\d+$/;
      expect(values.get(`$SYS/broker/${name}`), name).toMatch(form);
    }
  });

  test("counts follow what happens", async () => {
    const client = await server.connect(version);
    await client.subscribe("$SYS/broker/clients/connected");
    const count = (values: Map<string, string>): number =>
      Number(values.get("$SYS/broker/clients/connected"));
    await readSys(client, (values) => count(values) === 1);
    const others = await Promise.all([1, 2, 3].map(() => server.connect(version)));
    await readSys(client, (values) => count(values) === 4);
    await Promise.all(others.map((other) => other.disconnect()));
    await readSys(client, (values) => count(values) === 1);
  });

  test("they are retained: a new subscriber has them at once", async () => {
    const client = await server.connect(version);
    await client.subscribe("$SYS/broker/version");
    expect(await client.next("publish")).toMatchObject({ topic: "$SYS/broker/version", retain: true });
  });

  test("# and + do not reach them", async () => {
    const client = await server.connect(version);
    await client.subscribe(["#", "+/broker/version", "+/#"]);
    const watcher = await server.connect(version);
    await watcher.subscribe("$SYS/broker/uptime");
    await watcher.next("publish");
    await secondsPass();
    await watcher.next("publish");
    const topics = (await client.fence()).flatMap((packet) =>
      packet.type === "publish" ? [packet.topic] : [],
    );
    expect(topics.filter((topic) => topic.startsWith("$SYS"))).toEqual([]);
  });

  test("clients cannot publish there", async () => {
    const client = await server.connect(version);
    const topic = `$SYS/broker/${unique("forged")}`;
    await client.subscribe(topic);
    const ack = await client.publish(topic, "forged", { qos: 1 }).catch(() => undefined);
    if (version === 5 && ack !== undefined) expect(ack.reason).toBeGreaterThanOrEqual(0x80);
    if (ack !== undefined) await client.expectNothing();
  });

  test("load counts connections of the last minute", async () => {
    const client = await server.connect(version);
    await client.subscribe("$SYS/broker/load/+/1min");
    const load = (values: Map<string, string>, name: string): number =>
      Number(values.get(`$SYS/broker/load/${name}/1min`));
    await readSys(client, (values) => load(values, "connections") > 0 && load(values, "sockets") > 0);
  });
});

describe.each(ALL)("broker.metrics(), MQTT %s", (_name, version) => {
  ours("packets and payload bytes are counted one by one", async () => {
    const quiet = new TestServer({ sysInterval: 0 });
    await quiet.start();
    const figures = (): Record<string, number> => quiet.broker.metrics();
    const one = await quiet.connect(version);
    const topic = unique("counted");
    await one.subscribe(topic);
    await one.publish(topic, "12345", { qos: 2 });
    await one.next("publish");
    await one.publish(topic, "678", { qos: 0 });
    await one.next("publish");
    // CONNECT, SUBSCRIBE, PUBLISH, PUBREL, PUBLISH, PINGREQ; CONNACK, SUBACK, PUBREC, PUBCOMP, two PUBLISH, PINGRESP.
    expect(figures()).toMatchObject({
      "connects.received": 1,
      "packets.received": 6,
      "packets.sent": 7,
      "publish.received": 2,
      "publish.sent": 2,
      "publish.received_bytes": 8,
      "publish.sent_bytes": 8,
    });
    await one.disconnect();
    await eventually(() => figures()["connections.open"] === 0, "the connection is gone");
    expect(figures()).toMatchObject({ "packets.received": 7, "packets.sent": 7 });
    await quiet.stop();
  });
});

describe("MQTT 5.0", () => {
  ours("clients/expired counts sessions that ended with their interval", async () => {
    const watcher = await server.connect(5);
    const before = server.broker.metrics()["clients.expired"];
    const mortal = await server.connect(5, { properties: { sessionExpiryInterval: 1 } });
    await mortal.disconnect();
    await watcher.subscribe("$SYS/broker/clients/expired");
    await readSys(watcher, (values) => Number(values.get("$SYS/broker/clients/expired")) === before + 1);
  });
});
