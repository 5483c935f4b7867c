// The demo product of a first start: two devices with random secrets, and credentials ready to paste.
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { FileRegistry } from "./file-registry.ts";
import type { Device, Product } from "./registry.ts";
import { type SignMethod, sign, signContent } from "./sign-in.ts";

export const DEMO_PRODUCT_KEY = "a1demo00001";
export const DEMO_DEVICE_NAMES = ["device1", "device2"] as const;

export interface Demo {
  readonly product: Product;
  readonly devices: readonly [Device, Device];
}

export interface DemoResult {
  readonly registry: FileRegistry;
  /** undefined where somebody removed the demo product or one of its devices: it does not come back. */
  readonly demo: Demo | undefined;
  /** True at the first start. */
  readonly created: boolean;
}

/** Opens `<dataDir>/devices.json`; where there is none, makes it with the demo product. */
export async function ensureDemo(dataDir: string): Promise<DemoResult> {
  const registry = await FileRegistry.open(join(dataDir, "devices.json"));
  if (registry.isNew) {
    await Promise.all([
      registry.putProduct({ productKey: DEMO_PRODUCT_KEY, productSecret: newSecret(16) }),
      ...DEMO_DEVICE_NAMES.map((deviceName) =>
        registry.putDevice({ productKey: DEMO_PRODUCT_KEY, deviceName, deviceSecret: newSecret(32) }),
      ),
    ]);
  }
  return { registry, demo: findDemo(registry), created: registry.isNew };
}

function findDemo(registry: FileRegistry): Demo | undefined {
  const product = registry.findProduct(DEMO_PRODUCT_KEY);
  const [first, second] = DEMO_DEVICE_NAMES.map((name) => registry.findDevice(DEMO_PRODUCT_KEY, name));
  return product && first && second ? { product, devices: [first, second] } : undefined;
}

export interface SignedCredentials {
  readonly clientId: string;
  readonly username: string;
  readonly password: string;
}

export interface CredentialOptions {
  /** 2 TLS, 3 TCP [AUTH-9]. */
  readonly securemode: 2 | 3;
  /** Default hmacsha256. */
  readonly signMethod?: SignMethod;
  /** The part before the bar. Default `{pk}.{dn}`. */
  readonly clientId?: string;
  /** Left out unless given [AUTH-7]. */
  readonly timestamp?: string;
}

/** What the device puts into its CONNECT. Good until the secret changes. */
export function signedCredentials(
  { productKey, deviceName, deviceSecret }: Pick<Device, "productKey" | "deviceName" | "deviceSecret">,
  {
    securemode,
    signMethod = "hmacsha256",
    clientId = `${productKey}.${deviceName}`,
    timestamp,
  }: CredentialOptions,
): SignedCredentials {
  const stamp = timestamp === undefined ? "" : `,timestamp=${timestamp}`;
  return {
    clientId: `${clientId}|securemode=${securemode},signmethod=${signMethod}${stamp}|`,
    username: `${deviceName}&${productKey}`,
    password: sign(signMethod, deviceSecret, signContent({ clientId, deviceName, productKey, timestamp })),
  };
}

function newSecret(characters: number): string {
  return randomBytes(characters / 2).toString("hex");
}
