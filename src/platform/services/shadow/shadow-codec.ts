// A shadow as the text that is kept: {"v":version,"t":s,"r":reported,"d":desired,"ra":…,"da":…}. Written and read by this
// file only.
import { isObject, plainObject } from "../../shared/json.ts";
import type { ShadowDocument } from "./shadow-document.ts";

export function encodeShadow({
  version,
  timestamp,
  reported,
  desired,
  reportedAt,
  desiredAt,
}: ShadowDocument): string {
  return JSON.stringify({ v: version, t: timestamp, r: reported, d: desired, ra: reportedAt, da: desiredAt });
}

export function decodeShadow(text: string): ShadowDocument {
  const { v, t, r, d, ra, da } = JSON.parse(text) as Record<string, unknown>;
  return {
    version: Number(v),
    timestamp: Number(t),
    reported: sideOf(r),
    desired: sideOf(d),
    reportedAt: sideOf(ra) as ShadowDocument["reportedAt"],
    desiredAt: sideOf(da) as ShadowDocument["desiredAt"],
  };
}

function sideOf(value: unknown): Record<string, unknown> {
  return plainObject(isObject(value) ? Object.entries(value) : []);
}
