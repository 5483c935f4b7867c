// Values of flags and arguments that are texts; an empty one is a mistake.
import { ConfigError } from "../../errors.ts";

export type Values = { readonly [name: string]: string | boolean | (string | boolean)[] | undefined };

export function path(given: string, name: string): string {
  if (given !== "") return given;
  throw new ConfigError("MISSING_ARGUMENT", name, `${name} is empty`);
}

export function text(values: Values, name: string): string | undefined {
  const value = values[name];
  if (typeof value !== "string") return undefined;
  if (value === "") throw new ConfigError("BAD_FLAG", `--${name}`, `--${name} has an empty value`);
  return value;
}
