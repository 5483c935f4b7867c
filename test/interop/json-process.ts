// A client of somebody else's library as a process of its own: it says what happens in lines of JSON on standard output and
// takes commands the same way on standard input.
import { type ChildProcess, spawn } from "node:child_process";
import { eventually } from "../support/server.ts";

export type Event = { event: string; [key: string]: unknown };

export class JsonProcess {
  readonly process: ChildProcess;
  /** What it has said and nobody has taken. */
  readonly events: Event[] = [];

  constructor(program: string, args: readonly string[], environment: NodeJS.ProcessEnv) {
    this.process = spawn(program, args, {
      env: { ...process.env, ...environment },
      stdio: ["pipe", "pipe", "inherit"],
    });
    // A command for a process that has ended is of no consequence.
    this.process.stdin?.on("error", () => {});
    let rest = "";
    this.process.stdout?.setEncoding("utf8").on("data", (chunk) => {
      rest += chunk;
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.events.push(JSON.parse(line) as Event);
    });
  }

  command(command: { readonly do: string; readonly [key: string]: unknown }): void {
    this.process.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  /** The first event of this name that `want` accepts; it is taken out. */
  async next(name: string, want: (event: Event) => boolean = () => true): Promise<Event> {
    const find = (): number => this.events.findIndex((event) => event.event === name && want(event));
    await eventually(() => find() >= 0, `${name}; so far ${JSON.stringify(this.events)}`, 10_000);
    return this.events.splice(find(), 1)[0];
  }

  /** Lets it disconnect and waits for its end. */
  async end(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const gone = new Promise((resolve) => this.process.once("exit", resolve));
    this.command({ do: "end" });
    await gone;
  }

  kill(): void {
    this.process.kill("SIGKILL");
  }
}
