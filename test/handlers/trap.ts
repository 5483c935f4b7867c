// Makes the core trap in the middle of its work, as a defect in it would.
import { vi } from "vitest";
import { Border } from "../../src/core/border.ts";

/** The next call of an entry is a trap of the core itself, behind the mark that says it has been entered. */
export function trapNext(entry: "route" | "injectSlice" | "replay" | "releaseAcks"): void {
  const original = Object.getOwnPropertyDescriptor(Border.prototype, entry)?.value as (
    ...args: unknown[]
  ) => number;
  vi.spyOn(Border.prototype, entry).mockImplementationOnce(function (this: Border, ...args: unknown[]) {
    const { core } = this;
    const trapping = { ...core, [entry]: () => core.trap() };
    Object.defineProperty(this, "core", { value: trapping, configurable: true });
    try {
      return original.apply(this, args);
    } finally {
      Object.defineProperty(this, "core", { value: core, configurable: true });
    }
  } as never);
}
