// Every kind of registry, anew for each test, with a record of what it told.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import { MemoryRegistry, openRegistry, type Registry } from "../../../src/platform/registry/index.ts";

export const PK = "a1x";
export const ID = { productKey: PK, deviceName: "devA" };

export interface Kind {
  readonly name: string;
  readonly open: (directory: string) => Promise<Registry>;
  readonly keeps: boolean;
}
export const KINDS: readonly Kind[] = [
  { name: "MemoryRegistry", open: async () => new MemoryRegistry(), keeps: false },
  { name: "openRegistry()", open: (directory) => openRegistry(directory), keeps: true },
];

/** The registry of the test that runs, in a directory of its own. */
export class RegistryUnderTest {
  readonly #kind: Kind;
  #directory = "";
  /** Set before each test. */
  registry!: Registry;
  /** Its events, in order: "device.created NAME". */
  told: string[] = [];

  constructor(kind: Kind) {
    this.#kind = kind;
    beforeEach(async () => {
      this.#directory = mkdtempSync(join(tmpdir(), "millrace-registry-"));
      this.told = [];
      await this.#open();
    });
    afterEach(async () => {
      await this.registry.close();
      rmSync(this.#directory, { recursive: true });
    });
  }

  async #open(): Promise<void> {
    this.registry = await this.#kind.open(this.#directory);
    for (const name of ["product.created", "product.changed", "product.deleted"] as const)
      this.registry.on(name, ({ productKey }) => void this.told.push(`${name} ${productKey}`));
    for (const kind of ["created", "changed", "enabled", "disabled", "reset", "deleted"] as const)
      this.registry.on(
        `device.${kind}`,
        ({ deviceName }) => void this.told.push(`device.${kind} ${deviceName}`),
      );
  }

  /** Closes and opens it where it keeps anything. */
  async reopen(): Promise<void> {
    if (!this.#kind.keeps) return;
    await this.registry.close();
    await this.#open();
  }

  /** `fields` may be what no product may have. */
  product(fields: object = {}): ReturnType<Registry["createProduct"]> {
    return this.registry.createProduct({ productKey: PK, productSecret: "ps", ...fields });
  }

  device(fields: object = {}): ReturnType<Registry["createDevice"]> {
    return this.registry.createDevice({ ...ID, ...fields });
  }
}
