// CPU time and memory of the broker's process, from /proc (Linux); elsewhere these figures are left out.
import { readdirSync, readFileSync } from "node:fs";

/** CPU seconds of all threads, in nanosecond steps where the kernel keeps them. */
export function cpuSeconds(pid) {
  try {
    let nanoseconds = 0;
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]);
    }
    return nanoseconds / 1e9;
  } catch {
    return undefined;
  }
}

/** Proportional share of memory in bytes. */
export function memoryBytes(pid) {
  try {
    const kilobytes = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1];
    return kilobytes && Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}
