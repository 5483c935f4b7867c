// The user name of a platform device: `deviceName&productKey` [AUTH-4], split at the last "&". Case matters.

export interface DeviceId {
  readonly productKey: string;
  readonly deviceName: string;
}

/**
 * The names where they came from a client. Their key is made once, so that everybody who keeps something of the device does it
 * under the same text, which is hashed once. It is no field: whoever copies or prints the names gets the names alone.
 */
export class NamedDevice implements DeviceId {
  readonly productKey: string;
  readonly deviceName: string;
  readonly #key: string;

  constructor(productKey: string, deviceName: string) {
    this.productKey = productKey;
    this.deviceName = deviceName;
    this.#key = joinNames(productKey, deviceName);
  }

  get key(): string {
    return this.#key;
  }
}

/** Neither part can hold a slash. Also the key of the device's session [SESS-0]. */
export function keyOf(device: DeviceId): string {
  return device instanceof NamedDevice ? device.key : joinNames(device.productKey, device.deviceName);
}

function joinNames(productKey: string, deviceName: string): string {
  return `${productKey}/${deviceName}`;
}

const DEVICE_NAME = /^[A-Za-z0-9\-_@.:]{4,32}$/;
const PRODUCT_KEY = /^[A-Za-z0-9]{1,32}$/;

export function isDeviceName(text: string): boolean {
  return DEVICE_NAME.test(text);
}

/** Neither a ProductKey nor a DeviceName can hold "/", "+", "#" or "$": both are safe as levels of a topic. */
export function isProductKey(text: string): boolean {
  return PRODUCT_KEY.test(text);
}

export function parseUserName(text: string | undefined): NamedDevice | undefined {
  if (text === undefined) return undefined;
  const ampersand = text.lastIndexOf("&");
  if (ampersand < 0) return undefined;
  const deviceName = text.slice(0, ampersand);
  const productKey = text.slice(ampersand + 1);
  return isDeviceName(deviceName) && isProductKey(productKey)
    ? new NamedDevice(productKey, deviceName)
    : undefined;
}
