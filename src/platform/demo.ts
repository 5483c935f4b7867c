// The demo product of a first start: two devices with random secrets, and credentials ready to paste.
import type { Device, Product, Registry } from "./registry/index.ts";
import { type SignMethod, sign, signContent } from "./sign-in/signature.ts";

export const DEMO_PRODUCT_KEY = "a1demo00001";
export const DEMO_DEVICE_NAMES = ["device1", "device2"] as const;
const MARK = "demo";

type Triple = Pick<Device, "productKey" | "deviceName" | "deviceSecret">;

export interface Demo {
  readonly product: Product;
  readonly devices: readonly [Triple, Triple];
}

/**
 * Makes the demo product in a registry that has never had one and no other product. undefined where somebody removed the
 * demo product or one of its devices, or began with products of his own: it does not come.
 */
export async function ensureDemo(registry: Registry): Promise<Demo | undefined> {
  if (registry.products.length === 0 && !registry.hasMark(MARK)) {
    await registry.putAll(
      [{ productKey: DEMO_PRODUCT_KEY, name: "Demo product" }],
      DEMO_DEVICE_NAMES.map((deviceName) => ({ productKey: DEMO_PRODUCT_KEY, deviceName })),
      MARK,
    );
  }
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
  { productKey, deviceName, deviceSecret }: Triple,
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
