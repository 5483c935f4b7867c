// Input that waits behind a question can be more than the core takes at a time: it is taken in pieces.
import { expect, test } from "vitest";
import { BOTH } from "../support/server.ts";
import { Questions } from "../handlers/questions.ts";
import { connectInMemory, dropMemoryClients } from "../routing/memory-client.ts";
import { limited } from "./limited.ts";

test.each(BOTH)("a long PUBLISH that was asked about, and what came behind it, MQTT %s", (_name, version) =>
  limited({}, async (server) => {
    const questions = new Questions();
    server.broker.use(questions.hooks);
    const watcher = await server.connect(version);
    await watcher.subscribe("#");
    const client = await connectInMemory(server.broker, version);
    const { wire } = client;
    const long = wire.publish("ask/long", Buffer.alloc(250_000), { qos: 1, id: 1 });
    const behind = Array.from({ length: 50 }, (_, i) =>
      wire.publish("behind", `${i}`.padEnd(1_000), { qos: 1, id: i + 2 }),
    );
    client.send(long.subarray(0, -10));
    client.send(Buffer.concat([long.subarray(-10), ...behind]));
    await questions.asked(1);
    questions.open[0].answer(true);
    for (let id = 1; id <= 51; id++) expect(await client.next("puback")).toMatchObject({ id });
    expect((await watcher.receive()).payload).toHaveLength(250_000);
    for (let i = 0; i < 50; i++) expect((await watcher.receive()).text.trim()).toBe(`${i}`);
    expect(server.broker.metrics()["errors.trap"]).toBe(0);
    dropMemoryClients();
  }),
);
