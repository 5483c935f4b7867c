// HMAC-SHA256 of our own against the runtime's, for every length at which the form of the message changes.
import { createHmac, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { hmacSha256, MAX_SECRET_BYTES, MAX_TEXT_BYTES } from "../../../src/platform/sign-in/hmac-sha256.ts";

const theirs = (secret: string, text: string) =>
  createHmac("sha256", secret).update(text, "utf8").digest("hex");
const ours = (secret: string, text: string) => hmacSha256(secret, text)?.toString("hex");

test("RFC 4231, cases 1 and 2", () => {
  expect(ours("\x0b".repeat(20), "Hi There")).toBe(
    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
  );
  expect(ours("Jefe", "what do ya want for nothing?")).toBe(
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  );
});

test("texts of every length up to the bound, one after the other in the same memory", () => {
  const letters = randomBytes(MAX_TEXT_BYTES).toString("hex").slice(0, MAX_TEXT_BYTES);
  for (let length = MAX_TEXT_BYTES; length >= 0; length--) {
    const text = letters.slice(0, length);
    expect(ours("0123456789abcdef0123456789abcdef", text)).toBe(
      theirs("0123456789abcdef0123456789abcdef", text),
    );
  }
});

test("secrets of every length up to a block", () => {
  for (let length = MAX_SECRET_BYTES; length >= 0; length--) {
    const secret = "s".repeat(length);
    expect(ours(secret, "text")).toBe(theirs(secret, "text"));
  }
});

test("characters of several bytes", () => {
  const secret = "密钥𝒳é";
  const text = "clientId设备𝒳deviceNamedéviceproductKeyPK";
  expect(ours(secret, text)).toBe(theirs(secret, text));
});

test("what is longer is left to others", () => {
  expect(hmacSha256("s".repeat(MAX_SECRET_BYTES + 1), "text")).toBeUndefined();
  expect(hmacSha256("é".repeat(MAX_SECRET_BYTES / 2), "text")).toBeDefined();
  expect(hmacSha256("é".repeat(MAX_SECRET_BYTES / 2 + 1), "text")).toBeUndefined();
  expect(hmacSha256("s", "t".repeat(MAX_TEXT_BYTES + 1))).toBeUndefined();
});
