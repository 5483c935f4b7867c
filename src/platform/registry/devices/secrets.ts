// Keys, secrets and ids in the platform's form, from the system's randomness.
import { randomBytes } from "node:crypto";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** "a1" and nine letters or digits. */
export function newProductKey(): string {
  return `a1${alphanumeric(9)}`;
}

/** 16 letters and digits. */
export function newProductSecret(): string {
  return alphanumeric(16);
}

/** 32 hex digits. */
export function newDeviceSecret(): string {
  return randomBytes(16).toString("hex");
}

/** 20 letters and digits before a constant end. */
export function newIotId(): string {
  return `${alphanumeric(20)}000100`;
}

/** Letters and digits, each equally likely: a byte beyond the last whole round of the alphabet is thrown away. */
export function alphanumeric(length: number): string {
  let text = "";
  while (text.length < length) {
    for (const byte of randomBytes(length - text.length + 4)) {
      if (byte < 248 && text.length < length) text += LETTERS[byte % 62];
    }
  }
  return text;
}
