// Opening cores: their independence, modules that are not ours, and the list of error codes.
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it, vi } from "vitest";
import { CoreError, createCore, PacketDecodeError, PacketEncodeError } from "../../src/core/index.ts";
import { builds } from "./builds.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

afterEach(() => {
  vi.restoreAllMocks();
});

describe("cores", () => {
  it("share nothing", () => {
    const [one, other] = [createCore(), createCore(builds[1].module)];
    one.matcher.subscribe("a/+", 1);
    other.matcher.subscribe("a/b", 2);
    expect([one.matcher.match("a/b"), other.matcher.match("a/b")]).toEqual([[1], [2]]);
    const chunk = one.encode(
      {
        type: "publish",
        topic: "t",
        payload: Uint8Array.of(1),
        qos: 0,
        packetId: 0,
        retain: false,
        dup: false,
      },
      4,
    );
    const run = one.parsePublishes(chunk, 4);
    expect(other.parsePublishes(new Uint8Array(), 4).count).toBe(0);
    expect([run.count, run.topic(0)]).toEqual([1, "t"]);
  });

  it("hash under keys of their own, so that nobody can aim at one", () => {
    const getRandomValues = vi.spyOn(crypto, "getRandomValues");
    createCore();
    createCore();
    const seeds = getRandomValues.mock.results.map(({ value }) => String(value as Uint32Array));
    expect(seeds).toHaveLength(2);
    expect(seeds[0]).not.toBe(seeds[1]);
  });

  it("can be made of a module compiled elsewhere", async () => {
    const bytes = readFileSync(new URL("../../src/core/generated/core.wasm", import.meta.url));
    const { matcher } = createCore(await WebAssembly.compile(bytes));
    expect(matcher.matches("a/#", "a")).toBe(true);
  });
});

describe("what stands in the way of a core", () => {
  it("another module", () => {
    const empty = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    expect(() => createCore(empty)).toThrow(
      expect.objectContaining({ name: "CoreError", code: "CORE_MODULE" }),
    );
  });

  it("a runtime that cannot compile SIMD", async () => {
    vi.resetModules(); // this core has compiled its module already
    const fresh = await import("../../src/core/index.ts");
    const cause = new WebAssembly.CompileError("invalid opcode 0xfd");
    vi.spyOn(WebAssembly, "Module").mockImplementation(function refuse() {
      throw cause;
    });
    expect(() => fresh.createCore()).toThrow(expect.objectContaining({ code: "CORE_MODULE", cause }));
  });

  it("memory", () => {
    const cause = new RangeError("could not allocate memory");
    vi.spyOn(WebAssembly, "Instance").mockImplementation(function refuse() {
      throw cause;
    });
    expect(() => createCore()).toThrow(expect.objectContaining({ code: "CORE_MEMORY" }));
  });
});

describe("errors", () => {
  it("are all listed in docs/core.md, and no others", () => {
    const declared = [...read("src/core/core-errors.ts").matchAll(/\| "(CORE_\w+)"/g)].map(
      ([, code]) => code,
    );
    const listed = [...read("docs/core.md").matchAll(/^\| `(CORE_\w+)` \| .{10,} \|$/gm)].map(
      ([, code]) => code,
    );
    expect(new Set(listed).size).toBe(listed.length);
    expect(listed.sort()).toEqual([...new Set(declared)].sort());
    for (const code of listed) {
      const thrown = ["index", "codec", "matcher", "packet-parser", "publish-run", "region"].some((file) =>
        read(`src/core/${file}.ts`).includes(`"${code}", `),
      );
      expect([code, thrown]).toEqual([code, true]);
    }
  });

  it("know their kind", () => {
    const error = new PacketDecodeError("CORE_PACKET", 0x81, "QoS 3", 0);
    expect(error).toBeInstanceOf(CoreError);
    expect(error.message).toBe("QoS 3, at byte 0 of the packet");
    expect(new PacketEncodeError("x").code).toBe("MILLRACE_PACKET_FIELD");
  });
});
