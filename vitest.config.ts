import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 15_000,
    hookTimeout: 15_000,
    // The default of a second is too little for a process that starts on a busy machine.
    expect: { poll: { timeout: 10_000 } },
    pool: "forks",
    // Half of a file's time is waiting for sockets, disks and child processes; by default one processor would stay idle.
    maxWorkers: Math.max(2, availableParallelism()),
    // Concurrent tests wait for time to pass, not for the processor.
    maxConcurrency: 50,
    reporters: ["default"],
  },
});
