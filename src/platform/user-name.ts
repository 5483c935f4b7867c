// The user name of a platform device: `deviceName&productKey` [AUTH-4], split at the last "&". Case matters.

export interface DeviceId {
  readonly productKey: string;
  readonly deviceName: string;
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

export function parseUserName(text: string | undefined): DeviceId | undefined {
  if (text === undefined) return undefined;
  const ampersand = text.lastIndexOf("&");
  if (ampersand < 0) return undefined;
  const deviceName = text.slice(0, ampersand);
  const productKey = text.slice(ampersand + 1);
  return isDeviceName(deviceName) && isProductKey(productKey) ? { productKey, deviceName } : undefined;
}
