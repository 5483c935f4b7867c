// Finds out who listens on a port, for the message of a start that failed. Best effort on Linux, silent elsewhere: it
// must never turn a clear error into another one.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const LISTENING = "0A";

/** Inodes of the sockets that listen on `port`, from the text of /proc/net/tcp or tcp6. */
export function listeningInodes(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const inodes: string[] = [];
  for (const line of table.split("\n")) {
    const fields = line.trim().split(/\s+/);
    if (fields[3] === LISTENING && fields[1].endsWith(suffix)) inodes.push(fields[9]);
  }
  return inodes;
}

/** "process 4242 (mosquitto)", or undefined where that cannot be seen. */
export function findPortHolder(port: number): string | undefined {
  const inodes = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const inode of listeningInodes(readText(table), port)) inodes.add(`socket:[${inode}]`);
  }
  if (inodes.size === 0) return undefined;
  for (const pid of listNames("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of listNames(`/proc/${pid}/fd`)) {
      if (inodes.has(readLink(`/proc/${pid}/fd/${fd}`))) return `process ${pid} (${commandOf(pid)})`;
    }
  }
  return undefined;
}

/** Program and script. Further arguments stay out of logs: they may hold secrets. */
function commandOf(pid: string): string {
  const [program, script] = readText(`/proc/${pid}/cmdline`).split("\0");
  if (!program) return readText(`/proc/${pid}/comm`).trim();
  return script?.startsWith("/") ? `${program} ${script}` : program;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function listNames(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
