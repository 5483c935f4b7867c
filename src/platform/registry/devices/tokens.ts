// Pairs of client id and token for devices that are not registered beforehand [DYN-4].
import { OperationError } from "../../../errors.ts";
import type { DeviceId } from "../../names/user-name.ts";
import { type Device, type DeviceChanges, type DeviceToken, MAX_TOKENS, type NewDevice } from "./device.ts";
import { alphanumeric } from "./secrets.ts";

const CLIENT_ID_LENGTH = 24;
const TOKEN_LENGTH = 32;

/** What of the registry it takes. */
interface Devices {
  findDevice(productKey: string, deviceName: string): Device | undefined;
  createDevice(device: NewDevice): Promise<Device>;
  updateDevice(
    productKey: string,
    deviceName: string,
    change: (device: Device) => DeviceChanges,
  ): Promise<Device>;
}

class NoMore extends Error {}

/** Makes one more pair, and the device where there is none. undefined: it has all it may have. */
export async function issueToken(registry: Devices, id: DeviceId): Promise<DeviceToken | undefined> {
  const { productKey, deviceName } = id;
  const pair = { clientId: alphanumeric(CLIENT_ID_LENGTH), deviceToken: alphanumeric(TOKEN_LENGTH) };
  if (registry.findDevice(productKey, deviceName) === undefined) {
    try {
      await registry.createDevice({ productKey, deviceName });
    } catch (error) {
      // Another of its kind was faster.
      if (!(error instanceof OperationError) || error.code !== "REGISTRY_EXISTS") throw error;
    }
  }
  try {
    await registry.updateDevice(productKey, deviceName, ({ tokens }) => {
      if (tokens.length >= MAX_TOKENS) throw new NoMore();
      return { tokens: [...tokens, pair] };
    });
    return pair;
  } catch (error) {
    if (error instanceof NoMore) return undefined;
    throw error;
  }
}
