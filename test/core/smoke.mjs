// The smoke case every runtime runs: `run(createCore, bytes?)` returns lines that must be the same everywhere.
// Uses nothing but the language and WebAssembly, which runtimes.test.ts relies on.
export async function run(createCore, bytes) {
  const core = createCore(bytes && (await WebAssembly.compile(bytes)));
  const lines = [];
  const packet = {
    type: "publish",
    topic: "räume/7/temperatur",
    payload: Uint8Array.of(50, 49, 46, 53),
    qos: 1,
    packetId: 12,
    retain: false,
    dup: false,
    properties: { contentType: "text/plain", userProperties: [["unit", "°C"]] },
  };
  const stream = [
    ...core.encode({ type: "connect", level: 5, clientId: "c", cleanStart: true, keepAlive: 60 }, 5),
    ...core.encode(packet, 5),
  ];
  const parser = core.parser();
  for (const byte of stream)
    for (const one of parser.push(Uint8Array.of(byte))) lines.push(JSON.stringify(one));
  lines.push(JSON.stringify(core.decode(Uint8Array.of(0x36, 0, 0), { level: 4 })));
  const published = core.parsePublishes(core.encode(packet, 5), 5);
  lines.push(`${published.count} ${published.topic(0)} ${published.packetId(0)}`);
  for (const [id, filter] of ["räume/+/temperatur", "räume/#", "#", "+/8/#"].entries())
    core.matcher.subscribe(filter, id);
  lines.push(core.matcher.match("räume/7/temperatur").sort().join());
  try {
    core.matcher.match("a/#");
  } catch (error) {
    lines.push(`${error.code}: ${error.message}`);
  }
  return lines;
}
