// A device that is deleted while no broker runs, and made anew under its name: nothing of the old one is there, neither session
// nor shadow, at the next start of a broker.
import mqtt, { type IConnackPacket, type MqttClient } from "mqtt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { signedCredentials } from "../../../src/platform/demo.ts";
import { type Ended, Workplace } from "../executable.ts";

const PLATFORM = ["--listen", "tcp://localhost:0", "--log-level", "warn", "--rate-limits", "off"];
const PK = "a1EXAMPLE01";
const SECRET = "0123456789abcdef";

let workplace: Workplace;
beforeEach(() => {
  workplace = new Workplace();
});
afterEach(() => workplace.close());

async function millrace(...args: string[]): Promise<Ended> {
  const ended = await workplace.command([...args, "--data", workplace.data]);
  expect([args, ended.code, ended.stderr]).toEqual([args, 0, expect.not.stringContaining("millrace:")]);
  return ended;
}

/** Connects for a session that is kept; tells whether there was one, and what came before the device said goodbye. */
async function visit(
  port: number,
  deviceName: string,
  version: 4 | 5,
  then: (client: MqttClient) => Promise<unknown> = async () => {},
): Promise<{ present: boolean; heard: string[] }> {
  const device = { productKey: PK, deviceName, deviceSecret: SECRET };
  const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
    ...signedCredentials(device, { securemode: 3 }),
    protocolVersion: version,
    clean: false,
    properties: version === 5 ? { sessionExpiryInterval: 1_000 } : undefined,
    reconnectPeriod: 0,
  });
  const heard: string[] = [];
  client.on("message", (_, payload) => heard.push(payload.toString()));
  const { sessionPresent } = await new Promise<IConnackPacket>((resolve, reject) => {
    client.once("connect", resolve);
    client.once("error", reject);
  });
  await then(client);
  // The answer comes behind all that waited.
  await client.subscribeAsync(`/${PK}/${deviceName}/user/get`, { qos: 1 });
  await client.endAsync();
  return { present: sessionPresent, heard };
}

test.each([4, 5] as const)("MQTT version %i", { timeout: 60_000 }, async (version) => {
  await millrace("product", "create", "--product-key", PK);
  const names = ["gone1", "gone2", "stays"];
  for (const name of names) await millrace("device", "create", PK, name, "--device-secret", SECRET);
  const first = await workplace.start(...PLATFORM);
  for (const name of names) {
    await visit(first.ports[0], name, version, async (client) => {
      await client.publishAsync(
        `/shadow/update/${PK}/${name}`,
        JSON.stringify({ method: "update", state: { reported: { a: 1 } }, version: 5 }),
        { qos: 1 },
      );
    });
    await millrace("publish", `/${PK}/${name}/user/get`, "waits", "--qos", "1");
  }
  first.child.kill("SIGTERM");
  await first.exited;

  await millrace("device", "delete", PK, "gone1");
  await millrace("device", "create", PK, "gone1", "--device-secret", SECRET);
  const second = await workplace.start(...PLATFORM);
  expect(await visit(second.ports[0], "gone1", version)).toEqual({ present: false, heard: [] });
  expect(await visit(second.ports[0], "stays", version)).toEqual({ present: true, heard: ["waits"] });
  const shadow = (name: string) => workplace.command(["shadow", "get", PK, name, "--data", workplace.data]);
  expect((await shadow("gone1")).stderr).toContain("no shadow yet");
  expect(JSON.parse((await shadow("stays")).stdout)).toMatchObject({ version: 5 });
  second.child.kill("SIGTERM");
  await second.exited;

  // With its product as well; and what has begun since stays.
  await millrace("product", "delete", PK, "--with-devices");
  await millrace("product", "create", "--product-key", PK);
  for (const name of ["gone2", "stays"])
    await millrace("device", "create", PK, name, "--device-secret", SECRET);
  const third = await workplace.start(...PLATFORM);
  expect(await visit(third.ports[0], "gone2", version)).toEqual({ present: false, heard: [] });
  expect(await visit(third.ports[0], "stays", version)).toEqual({ present: false, heard: [] });
  third.child.kill("SIGTERM");
  await third.exited;
  const fourth = await workplace.start(...PLATFORM);
  expect(await visit(fourth.ports[0], "stays", version)).toEqual({ present: true, heard: [] });
});
