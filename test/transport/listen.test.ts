import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Admission } from "../../src/transport/reception/admission.ts";
import { isLoopback } from "../../src/transport/ports/bind.ts";
import { listeningInodes } from "../../src/transport/ports/port-holder.ts";
import { CONNECT, closed, dial, LIMITS, type Opened, open } from "./helpers.ts";

let server: Server | undefined;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "millrace-"));
});
afterEach(async () => {
  server?.close();
  server = undefined;
  rmSync(dir, { recursive: true, force: true });
});

async function hasIPv6(): Promise<boolean> {
  const probe = createServer().listen(0, "::1");
  const [first] = await Promise.race([
    once(probe, "listening").then(() => [true]),
    new Promise<[boolean]>((resolve) => probe.once("error", () => resolve([false]))),
  ]);
  probe.close();
  return first as boolean;
}

describe("binding", () => {
  it("opens the port it names", async () => {
    const opened = await open({ kind: "tcp" });
    expect(opened.port).toBeGreaterThan(0);
    expect(opened.listener.url).toBe(`tcp://127.0.0.1:${opened.port}`);
    expect(opened.listener.loopback).toBe(true);
    (await dial(opened.port)).destroy();
  });

  it('"localhost" is both loopback addresses on one port', async () => {
    const opened = await open({ kind: "auto", host: "localhost" });
    expect(opened.listener.url).toBe(`auto://localhost:${opened.port}`);
    expect(opened.listener.loopback).toBe(true);
    const hosts = (await hasIPv6()) ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
    for (const [index, host] of hosts.entries()) {
      const client = await dial(opened.port, host);
      client.write(CONNECT);
      const { info } = (await opened.stream(index)).stream;
      expect([info.remoteAddress, info.localPort, info.loopback]).toEqual([host, opened.port, true]);
      client.destroy();
    }
  });

  it("is loopback by what is bound, not by who comes", async () => {
    const opened = await open({ kind: "tcp", host: "0.0.0.0" });
    expect(opened.listener.loopback).toBe(false);
    const client = await dial(opened.port);
    expect((await opened.stream()).stream.info).toMatchObject({
      loopback: false,
      remoteAddress: "127.0.0.1",
    });
    client.destroy();
    expect(isLoopback("127.8.9.10")).toBe(true);
    expect(isLoopback("::1")).toBe(true);
    expect(isLoopback("0.0.0.0")).toBe(false);
    expect(isLoopback("127.example")).toBe(false);
    expect(isLoopback("128.0.0.1")).toBe(false);
  });

  it("shows IPv4 clients of a dual-stack socket by their IPv4 address", async () => {
    if (!(await hasIPv6())) return;
    const opened = await open({ kind: "tcp", host: "::" });
    expect(opened.listener.url).toBe(`tcp://[::]:${opened.port}`);
    const client = await dial(opened.port);
    expect((await opened.stream()).stream.info.remoteAddress).toBe("127.0.0.1");
    client.destroy();
  });

  it("names the process that holds a port, and the way out", async () => {
    const script =
      'require("net").createServer().listen(0,"127.0.0.1",function(){console.log(this.address().port)})';
    const holder = spawn(process.execPath, ["-e", script]);
    try {
      const [output] = await once(holder.stdout, "data");
      const port = Number(output);
      const failure = open({ kind: "tcp", port });
      await expect(failure).rejects.toMatchObject({ code: "PORT_IN_USE" });
      await expect(failure).rejects.toThrow(`Port ${port} on 127.0.0.1 is in use by`);
      await expect(failure).rejects.toThrow("--listen tcp://127.0.0.1:");
      if (process.platform === "linux")
        await expect(failure).rejects.toThrow(`process ${holder.pid} (${process.execPath})`);
    } finally {
      holder.kill();
    }
  });

  it("gives nothing half-bound back when ::1 has the port taken", async () => {
    if (!(await hasIPv6())) return;
    server = createServer().listen(0, "::1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await expect(open({ kind: "tcp", host: "localhost", port })).rejects.toMatchObject({
      code: "PORT_IN_USE",
    });
    const opened = await open({ kind: "tcp", host: "127.0.0.1", port });
    expect(opened.port).toBe(port);
  });

  it("says that an address is not this machine's", async () => {
    for (const host of ["192.0.2.1", "no-such-host.invalid"]) {
      await expect(open({ kind: "tcp", host })).rejects.toMatchObject({ code: "ADDRESS_UNAVAILABLE" });
    }
  });

  it("finds listening sockets in the kernel's table, and no others", () => {
    const table = [
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
      "   0: 0100007F:075B 00000000:0000 0A 00000000:00000000 00:00000000 00000000   102        0 252891 1 0",
      "   1: 0100007F:075B 0100007F:C001 01 00000000:00000000 00:00000000 00000000   102        0 252892 1 0",
      "   2: 0100007F:C001 0100007F:075B 0A 00000000:00000000 00:00000000 00000000   102        0 252893 1 0",
      "",
    ].join("\n");
    expect(listeningInodes(table, 1883)).toEqual(["252891"]);
  });
});

describe("closing", () => {
  it("frees the port and leaves open streams alone", async () => {
    const opened = await open({ kind: "tcp" });
    const { port } = opened;
    const client = await dial(port);
    const stream = await opened.stream();
    await opened.listener.close();
    const again = await open({ kind: "tcp", port });
    client.write("still here");
    await stream.until(() => stream.bytes === 10);
    await again.close();
    client.destroy();
  });

  it("drops what is no stream yet", async () => {
    const opened = await open({ kind: "auto" });
    const client = await dial(opened.port);
    // One that connects later is a stream already.
    (await dial(opened.port)).write(CONNECT);
    await opened.stream();
    const gone = closed(client);
    await opened.listener.close();
    await gone;
    expect(opened.reasons).toEqual([]);
  });
});

describe("limits", () => {
  it("admits n-1 and n connections, closes n+1, and takes another once one has left", async () => {
    const opened = await open({ kind: "tcp" }, { maxConnections: 2 });
    const first = await dial(opened.port);
    const second = await dial(opened.port);
    await opened.stream(1);
    expect(opened.reasons).toEqual([]);
    const third = await dial(opened.port);
    await closed(third);
    expect(opened.reasons).toEqual(["connections"]);
    expect(opened.refusals[0].info).toContain("127.0.0.1");
    first.resetAndDestroy();
    await (await opened.stream(0)).until(() => opened.recorders[0].closes === 1);
    const fourth = await dial(opened.port);
    await opened.stream(2);
    for (const client of [second, fourth]) client.destroy();
  });

  it("admits n-1 and n connections in a second, closes n+1, and starts anew in the next", () => {
    const admission = new Admission({ ...LIMITS, maxConnectionRate: 3 });
    const admit = (at: number) => admission.admit(() => at);
    expect([admit(100), admit(500), admit(1_099), admit(1_099.9)]).toEqual([
      undefined,
      undefined,
      undefined,
      "rate",
    ]);
    expect([admit(1_100), admit(1_100), admit(1_100), admit(1_101)]).toEqual([
      undefined,
      undefined,
      undefined,
      "rate",
    ]);
    expect(admission.connections).toBe(6);
  });

  it("keeps the rate on a listener", async () => {
    const opened = await open({ kind: "tcp" }, { maxConnectionRate: 2 });
    const clients = await Promise.all([dial(opened.port), dial(opened.port), dial(opened.port)]);
    await opened.until(() => opened.reasons.length === 1);
    expect(opened.reasons).toEqual(["rate"]);
    await opened.stream(1);
    for (const client of clients) client.destroy();
  });

  it("has no rate by default: 2,000 connections at full speed are all taken", async () => {
    const opened = await open({ kind: "auto" });
    const clients = await Promise.all(
      Array.from({ length: 2_000 }, async () => {
        const client = connect({ port: opened.port, host: "127.0.0.1" });
        client.write(CONNECT);
        await once(client, "connect");
        return client;
      }),
    );
    await opened.stream(1_999);
    expect(opened.reasons).toEqual([]);
    for (const client of clients) client.destroy();
  });
});

describe("a Unix socket", () => {
  it("carries a stream, for this user only", async () => {
    const path = join(dir, "mqtt.sock");
    const mask = process.umask(0);
    let opened: Opened;
    try {
      opened = await open({ kind: "unix", path });
      expect(process.umask(0)).toBe(0);
    } finally {
      process.umask(mask);
    }
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(opened.listener).toMatchObject({ url: `unix:${path}`, port: 0, loopback: true });
    const client = connect(path);
    client.write("hello");
    const stream = await opened.stream();
    await stream.until(() => stream.bytes === 5);
    expect(stream.stream.info).toMatchObject({
      transport: "unix",
      secure: false,
      loopback: true,
      remoteAddress: "",
    });
    client.destroy();
    await opened.listener.close();
    expect(existsSync(path)).toBe(false);
  });

  it("takes the place of a socket nobody answers on", async () => {
    const path = join(dir, "mqtt.sock");
    const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => console.log("up"))`;
    const crashed = spawn(process.execPath, ["-e", script]);
    await once(crashed.stdout, "data");
    crashed.kill("SIGKILL");
    await once(crashed, "exit");
    expect(existsSync(path)).toBe(true);
    const opened = await open({ kind: "unix", path });
    connect(path).end();
    await opened.stream();
  });

  it("leaves a socket alone that somebody answers on", async () => {
    const path = join(dir, "mqtt.sock");
    server = createServer().listen(path);
    await once(server, "listening");
    await expect(open({ kind: "unix", path })).rejects.toMatchObject({ code: "SOCKET_IN_USE" });
    const client = connect(path);
    await once(client, "connect");
    client.destroy();
  });

  it("never removes a file that is no socket", async () => {
    const path = join(dir, "notes.txt");
    writeFileSync(path, "mine");
    await expect(open({ kind: "unix", path })).rejects.toMatchObject({ code: "SOCKET_PATH_TAKEN" });
    expect(existsSync(path)).toBe(true);
  });

  it("says why a path cannot be used", async () => {
    await expect(open({ kind: "unix", path: join(dir, "none", "x.sock") })).rejects.toMatchObject({
      code: "LISTEN_FAILED",
    });
    chmodSync(dir, 0o700);
  });
});

describe("options that cannot work", () => {
  it("are refused by name", async () => {
    await expect(open({ kind: "tls" })).rejects.toMatchObject({ code: "TLS_MISSING", path: "tls" });
    await expect(open({ kind: "wss" })).rejects.toMatchObject({ code: "TLS_MISSING", path: "tls" });
    await expect(open({ kind: "unix" })).rejects.toMatchObject({ code: "PATH_MISSING", path: "path" });
    await expect(open({ kind: "unix", path: "/x", proxyProtocolFrom: ["::1"] })).rejects.toMatchObject({
      code: "PROXY_ON_UNIX",
    });
    await expect(open({ kind: "tls", tls: { key: "no", cert: "no" } })).rejects.toMatchObject({
      code: "TLS_UNUSABLE",
    });
  });

  it("leave no port bound", async () => {
    server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    await expect(open({ kind: "tcp", port, proxyProtocolFrom: ["x"] })).rejects.toMatchObject({
      code: "ADDRESS_RANGE",
    });
    await open({ kind: "tcp", port });
  });
});
