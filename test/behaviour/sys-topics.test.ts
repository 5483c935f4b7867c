// $SYS/broker/…: what the broker says about itself, under the names Mosquitto's users know.
import { describe, expect, test } from "vitest";
import { BOTH, eventually, unique, useServer } from "../support/server.ts";
import type { RawClient } from "../support/raw-client.ts";

const server = useServer({ sysInterval: 1, mosquitto: ["sys_interval 1"] });

/** Reads $SYS until `enough` accepts what has come. */
async function readSys(
  client: RawClient,
  enough: (values: Map<string, string>) => boolean,
): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  await eventually(async () => {
    for (const packet of await client.fence())
      if (packet.type === "publish") values.set(packet.topic, packet.text);
    return enough(values);
  }, "enough $SYS topics");
  return values;
}

describe.each(BOTH)("MQTT %s", (_name, version) => {
  test("version, uptime, clients, messages, bytes, subscriptions and retained messages are there, each with the right form", async () => {
    const client = await server.connect(version);
    const names = [
      "version", "uptime", "clients/connected", "clients/total", "clients/disconnected", "clients/maximum", "messages/received",
      "messages/sent", "publish/messages/received", "publish/messages/sent", "publish/messages/dropped",
      "bytes/received", "bytes/sent", "subscriptions/count", "retained messages/count",
    ]; // biome-ignore format: a list
    await client.subscribe("$SYS/broker/#");
    const values = await readSys(
      client,
      (seen) =>
        names.every((name) => seen.has(`$SYS/broker/${name}`)) &&
        Number(seen.get("$SYS/broker/clients/connected")) >= 1,
    );
    expect(values.get("$SYS/broker/version")).toMatch(/^(millrace|mosquitto) version \d+\.\d+\.\d+/i);
    expect(values.get("$SYS/broker/uptime")).toMatch(/^\d+ seconds$/);
    for (const name of names.slice(2)) expect(values.get(`$SYS/broker/${name}`), name).toMatch(/^\d+$/);
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
    await watcher.next("publish", 4_000);
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
});
