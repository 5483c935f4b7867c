// Synchronous calls: as many as a server can make with a thousand of them under way, to devices that answer at once. Recorded,
// without a bound. The devices are plain sockets in this process and answer what they were sent.
import { fork } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { connectPacket, splitPackets, TYPE } from "../load/packets.mjs";
import { formatNumber, median } from "../lib/stats.mjs";
import { markdownTable } from "../lib/table.mjs";
import { nameOf, PK, secretOf } from "./devices.mjs";

/** Name that --only knows. */
export const RRPC = "platform-rrpc";
const IN_FLIGHT = 1_000;
const DEVICES = 100;
const server = fileURLToPath(new URL("rrpc-server.mjs", import.meta.url));

/** A device that is called without having subscribed (`_ss=1`) and turns each request into its answer. */
async function answerer(port, i) {
  const { signedCredentials } = await import("../../dist/platform/demo.js");
  const device = { productKey: PK, deviceName: nameOf(i), deviceSecret: secretOf(i) };
  const { clientId, username, password } = signedCredentials(device, { securemode: 3 });
  const socket = net.connect({ host: "127.0.0.1", port, noDelay: true });
  const field = clientId.replace(/\|$/, ",_ss=1|");
  socket.write(connectPacket({ proto: 4, clientId: field, clean: true, keepAlive: 60, username, password }));
  const connected = once(socket, "accepted");
  let rest = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    const answers = [];
    rest = splitPackets(rest.length ? Buffer.concat([rest, chunk]) : chunk, (buffer, start, body, end) => {
      const type = buffer[start] >> 4;
      if (type === TYPE.CONNACK) socket.emit("accepted", buffer[body + 1]);
      if (type === TYPE.PUBLISH) answers.push(answerTo(buffer, body, end));
    });
    if (answers.length) socket.write(Buffer.concat(answers));
  });
  const [code] = await connected;
  if (code !== 0) throw new Error(`CONNACK ${code}`);
  return socket;
}

/** The same payload on the response's topic, which is one letter longer; both are QoS 0 and short. */
function answerTo(buffer, body, end) {
  const length = buffer.readUInt16BE(body);
  const topic = buffer.latin1Slice(body + 2, body + 2 + length).replace("/request/", "/response/");
  const payload = buffer.subarray(body + 2 + length, end);
  const head = Buffer.from([0x30, 2 + topic.length + payload.length, 0, topic.length]);
  if (head[1] > 127) throw new Error("longer than this bench's messages");
  return Buffer.concat([head, Buffer.from(topic, "latin1"), payload]);
}

async function measureOnce(seconds) {
  const child = fork(server, [String(DEVICES)]);
  const sockets = [];
  try {
    const [{ port }] = await once(child, "message");
    for (let i = 0; i < DEVICES; i++) sockets.push(await answerer(port, i));
    const ask = async (of) => {
      child.send({ inFlight: IN_FLIGHT, seconds: of });
      return (await once(child, "message"))[0];
    };
    await ask(seconds / 2); // warms up
    return await ask(seconds);
  } finally {
    for (const socket of sockets) socket.destroy();
    child.disconnect();
    await once(child, "exit");
  }
}

/** Runs it; `{ runs, problems }`. */
export async function measureRrpc(options, log) {
  const runs = [];
  const problems = [];
  const count = options.quick ? 1 : (options.runs ?? 3);
  for (let run = 0; run < count; run++) {
    const result = await measureOnce(options.duration);
    if (result.failed > 0) problems.push({ name: "platform", problem: `${result.failed} wrong answers` });
    else runs.push(result);
    log(`${RRPC} ${run + 1}/${count} ${result.failed ? "wrong answers" : "ok"}`);
  }
  return { runs, problems };
}

export function rrpcTable({ runs }) {
  const of = (name) => formatNumber(median(runs.map((run) => run[name])));
  return markdownTable(
    ["synchronous calls (RRPC)", "calls/s", "calls/CPU-s", "p50 ms", "p99 ms"],
    [
      [
        `${IN_FLIGHT} in flight to ${DEVICES} devices`,
        of("perSecond"),
        of("perCpuSecond"),
        of("p50"),
        of("p99"),
      ],
    ],
  );
}
