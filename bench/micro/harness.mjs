// Runs tinybench tasks whose functions do many operations each: a clock reading around one operation of 50 ns would
// measure the clock. Figures are per operation.
import { Bench } from "tinybench";

/**
 * `tasks`: `{ name, operations, run }`, where one call of `run` does `operations` operations and returns a number
 * that depends on all of them. `expected`, if given, is what `run` must return: the answer is checked before timing.
 */
export async function measure(tasks, { quick = false } = {}) {
  for (const { name, run, expected } of tasks) {
    const answer = run();
    if (expected !== undefined && answer !== expected) {
      throw new Error(`${name}: the answer is ${answer}, not ${expected}`);
    }
  }
  const bench = new Bench({
    time: quick ? 150 : 600,
    warmupTime: quick ? 50 : 200,
    iterations: 8,
    throws: true,
  });
  for (const { name, run } of tasks) bench.add(name, run);
  await bench.run();
  return tasks.map(({ name, operations }, index) => {
    const { latency } = bench.tasks[index].result;
    return {
      name,
      perSecond: (operations * 1000) / latency.p50,
      nanoseconds: (latency.p50 * 1e6) / operations,
      p99Nanoseconds: (latency.p99 * 1e6) / operations,
      samples: latency.samplesCount,
    };
  });
}
