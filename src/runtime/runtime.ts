// What differs between JavaScript runtimes, as far as anything in the broker has to know.
// Everything else is written against Node's API, which Deno and Bun provide.

export type RuntimeName = "node" | "deno" | "bun";

function detect(): RuntimeName {
  if ("Deno" in globalThis) return "deno";
  return "bun" in process.versions ? "bun" : "node";
}

export const RUNTIME: RuntimeName = detect();

/**
 * Node tries every socket write at once: `writableLength` is 0 again behind a write() the kernel took whole. Elsewhere a
 * write is only known to be finished by its callback.
 */
export const SOCKET_WRITES_AT_ONCE: boolean = RUNTIME === "node";
