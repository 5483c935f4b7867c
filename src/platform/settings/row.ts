// One setting of the platform profile: its default, what it decides, and what it may be. Making rows only; what is made of
// them is in settings.ts.

/** Answer to a CONNECT: 3.x return code, 5.0 reason code. */
export interface ConnectCodes {
  readonly code3: 1 | 2 | 3 | 4 | 5;
  readonly reason: number;
}

export interface Row<T> {
  readonly value: T;
  /** What it decides, with the rule. */
  readonly about: string;
  /** Of a number. */
  readonly unit?: string;
  /** Of a number, both inclusive. */
  readonly least?: number;
  readonly most?: number;
  /** Of a word. */
  readonly choices?: readonly T[];
  /** Shown instead of the value. */
  readonly byDefault?: string;
}

export type SettingRow = Row<boolean> | Row<number> | Row<string> | Row<ConnectCodes>;

export function flag(value: boolean, about: string, byDefault?: string): Row<boolean> {
  return { value, about, byDefault };
}
export function number(value: number, unit: string, least: number, most: number, about: string): Row<number> {
  return { value, unit, least, most, about };
}
export function word<const T extends string>(choices: readonly T[], value: T, about: string): Row<T> {
  return { value, choices, about };
}
export function text(value: string, about: string): Row<string> {
  return { value, about };
}
export function codes(code3: ConnectCodes["code3"], reason: number, about: string): Row<ConnectCodes> {
  return { value: { code3, reason }, about, byDefault: `${code3}, 0x${reason.toString(16)}` };
}
