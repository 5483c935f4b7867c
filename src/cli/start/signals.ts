// Signals of the process: the first SIGINT or SIGTERM asks for a clean stop, the second ends at once; SIGHUP reloads.
// Reloads never overlap: any number of signals during one lead to one more.

export interface SignalSource {
  on(signal: NodeJS.Signals, listener: () => void): unknown;
  off(signal: NodeJS.Signals, listener: () => void): unknown;
}

export interface SignalHandlers {
  /** Called at the second stop signal. Does not come back. */
  readonly exitNow: () => void;
  /** Must not reject. */
  readonly reload: () => Promise<void>;
}

export interface Signals {
  /** Resolves with the name of the first stop signal. */
  readonly stopped: Promise<string>;
  dispose(): void;
}

export function watchSignals(handlers: SignalHandlers, source: SignalSource = process): Signals {
  let stop: (signal: string) => void = () => {};
  const stopped = new Promise<string>((resolve) => {
    stop = resolve;
  });
  let stopping = false;
  let reloading = false;
  let again = false;

  const onStop = (signal: string) => {
    if (stopping) return handlers.exitNow();
    stopping = true;
    stop(signal);
  };
  const onInterrupt = () => onStop("SIGINT");
  const onTerminate = () => onStop("SIGTERM");
  const onHangup = async () => {
    again = true;
    if (reloading) return;
    reloading = true;
    while (again && !stopping) {
      again = false;
      await handlers.reload();
    }
    reloading = false;
  };
  source.on("SIGINT", onInterrupt);
  source.on("SIGTERM", onTerminate);
  source.on("SIGHUP", onHangup);
  return {
    stopped,
    dispose() {
      source.off("SIGINT", onInterrupt);
      source.off("SIGTERM", onTerminate);
      source.off("SIGHUP", onHangup);
    },
  };
}
