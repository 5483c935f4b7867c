// Keys of the registry's table. No part holds a NUL, which stands between parts, so the order of keys
// is: product by product, in each its devices by DeviceName.
//
//   p PK              product                     m PK              its thing model
//   n PK              number of its devices       w NAME            PK of the product with that name, if it is not PK
//   d PK NUL DN       device
//   t PK NUL DN       its last connection that has ended      a   when a broker last said that it runs
//   r NUMBER          devices that have come online together, the newest first, see rolls.ts
//   e PK NUL DN       its connection ended with its broker, and nobody was told yet
//   i IOTID           PK NUL DN                   c FINGERPRINT     PK NUL DN
//   g GPK NUL GDN NUL PK NUL DN   sub-device of a gateway
//   x PK              product whose devices are being removed
//   s NUMBER          import that is under way: its rows do not count yet
//   u NUMBER NUL PK   product it has rows of
//   z                 number of the last import   v NAME            something that is done once was done
//   k KIND NUL KEY    a service's document, see documents.ts
//   b PK              product that was deleted while no broker listened
//   y PK NUL DN       device that was deleted while no broker listened: what is kept for it elsewhere is still there
import type { DeviceId } from "../../names/user-name.ts";

export const PRODUCTS = "p";
export const REMOVALS = "x";
export const IMPORTS = "s";
export const LAST_IMPORT = "z";
export const UNTOLD = "y";
export const UNTOLD_PRODUCTS = "b";
export const ROLLS = "r";
export const ENDED = "e";
export const ALIVE = "a";

export function productKeyOf(productKey: string): string {
  return `p${productKey}`;
}
export function modelKey(productKey: string): string {
  return `m${productKey}`;
}
export function nameKey(name: string): string {
  return `w${name}`;
}
export function countKey(productKey: string): string {
  return `n${productKey}`;
}
export function removalKey(productKey: string): string {
  return `x${productKey}`;
}
export function markKey(name: string): string {
  return `v${name}`;
}
export function importKey(number: number): string {
  return `s${number}`;
}
export function touchedPrefix(number: number): string {
  return `u${number}\0`;
}
export function touchedKey(number: number, productKey: string): string {
  return `${touchedPrefix(number)}${productKey}`;
}
/** All devices of a product begin so. */
export function devicesPrefix(productKey: string): string {
  return `d${productKey}\0`;
}
export function deviceKey({ productKey, deviceName }: DeviceId): string {
  return `d${productKey}\0${deviceName}`;
}
export function connectionKey({ productKey, deviceName }: DeviceId): string {
  return `t${productKey}\0${deviceName}`;
}
/** `number` counts up, keys count down: the newest comes first. */
export function rollKey(number: number): string {
  return `${ROLLS}${String(Number.MAX_SAFE_INTEGER - number).padStart(16, "0")}`;
}
export function endedKey({ productKey, deviceName }: DeviceId): string {
  return `${endedPrefix(productKey)}${deviceName}`;
}
/** All of a product begin so. */
export function endedPrefix(productKey: string): string {
  return `${ENDED}${productKey}\0`;
}
export function untoldKey({ productKey, deviceName }: DeviceId): string {
  return `${UNTOLD}${productKey}\0${deviceName}`;
}
export function iotIdKey(iotId: string): string {
  return `i${iotId}`;
}
export function certificateKey(fingerprint: string): string {
  return `c${fingerprint}`;
}
/** All sub-devices of a gateway begin so. */
export function subDevicesPrefix({ productKey, deviceName }: DeviceId): string {
  return `g${productKey}\0${deviceName}\0`;
}
export function subDeviceKey(gateway: DeviceId, { productKey, deviceName }: DeviceId): string {
  return `${subDevicesPrefix(gateway)}${productKey}\0${deviceName}`;
}

/** All documents of a kind begin so. */
export function documentsPrefix(kind: string): string {
  return `k${kind}\0`;
}
export function documentKey(kind: string, key: string): string {
  return `${documentsPrefix(kind)}${key}`;
}

export function encodeId({ productKey, deviceName }: DeviceId): string {
  return `${productKey}\0${deviceName}`;
}
export function decodeId(text: string): DeviceId {
  const nul = text.indexOf("\0");
  return { productKey: text.slice(0, nul), deviceName: text.slice(nul + 1) };
}
