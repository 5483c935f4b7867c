import { beforeEach, afterEach, describe, expect, it, vi } from "vitest";
import { LOOPBACK, outcome, PUBLIC } from "../../access/requests.ts";
import { cSdkRequest, PK, platformPolicy } from "../devices.ts";

const policyWith = (connection: object) =>
  platformPolicy({ settings: { rates: { enabled: true }, connection } });
type Overrides = Parameters<typeof cSdkRequest>[0];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("[CONN-3] the window", () => {
  it("slides, and refused attempts do not extend it", async () => {
    const policy = policyWith({ attemptsPerMinute: 2 });
    const attempt = async () => outcome(await policy.connect(cSdkRequest()));
    expect(await attempt()).toBe("accepted");
    vi.advanceTimersByTime(30_000);
    expect(await attempt()).toBe("accepted");
    for (let i = 0; i < 29; i++) {
      vi.advanceTimersByTime(1_000);
      expect(await attempt()).toBe("3/0x9f");
    }
    vi.advanceTimersByTime(1_000);
    expect(await attempt()).toBe("accepted"); // a minute after the first
    expect(await attempt()).toBe("3/0x9f");
    vi.advanceTimersByTime(30_000);
    expect(await attempt()).toBe("accepted"); // a minute after the second
  });

  it("of failures is one per device and address", async () => {
    const policy = policyWith({ failuresPerMinute: 1 });
    const fail = async (overrides: Overrides = {}) =>
      outcome(await policy.connect(cSdkRequest({ password: "x", ...overrides })));
    expect(await fail({ stream: PUBLIC })).toBe("4/0x86");
    expect(await fail({ stream: PUBLIC })).toBe("3/0x9f");
    expect(await fail({ stream: LOOPBACK })).toBe("4/0x86");
    expect(await fail({ stream: PUBLIC, username: `device2&${PK}` })).toBe("4/0x86");
    expect(await fail({ stream: PUBLIC, password: undefined })).toBe("3/0x9f");
    vi.advanceTimersByTime(60_000);
    expect(await fail({ stream: PUBLIC })).toBe("4/0x86");
  });

  it("of failures is kept for so many devices and addresses, the latest", async () => {
    const policy = policyWith({ failuresPerMinute: 1, trackedFailures: 2 });
    const fail = async (deviceName: string) =>
      outcome(await policy.connect(cSdkRequest({ username: `${deviceName}&${PK}`, password: "x" })));
    for (const name of ["aaaa", "bbbb", "cccc"]) expect(await fail(name)).toBe("4/0x86");
    expect(await fail("cccc")).toBe("3/0x9f");
    expect(await fail("bbbb")).toBe("3/0x9f");
    expect(await fail("aaaa")).toBe("4/0x86");
  });
});

describe("a disabled device, or one of another family", () => {
  it("uses up no attempts", async () => {
    const { exampleRegistry } = await import("../devices.ts");
    const registry = exampleRegistry("disabled");
    const settings = { rates: { enabled: true }, connection: { attemptsPerMinute: 1 } };
    const policy = platformPolicy({ registry, settings });
    for (let i = 0; i < 3; i++) expect(outcome(await policy.connect(cSdkRequest()))).toBe("5/0x8a");
    await registry.enableDevice(PK, "device1");
    expect(outcome(await policy.connect(cSdkRequest()))).toBe("accepted");
  });
});
