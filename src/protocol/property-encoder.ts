// Encodes the properties of a packet from the table in properties.ts.
import { PacketEncodeError, type PacketWriter } from "./packet-writer.ts";
import { type Properties, type PropertyPlace, type PropertySpec, propertyByName } from "./properties.ts";

/** Whether there is any property to send. */
export function hasProperties(properties: Properties | undefined): properties is Properties {
  if (properties === undefined) return false;
  for (const name in properties) {
    const value = properties[name as keyof Properties];
    if (value !== undefined && !(name === "userProperties" && (value as unknown[]).length === 0)) return true;
  }
  return false;
}

/** Writes Property Length and properties, in the order of the object's keys. */
export function writeProperties(
  writer: PacketWriter,
  properties: Properties | undefined,
  place: PropertyPlace,
): void {
  if (properties === undefined) {
    writer.byte(0);
    return;
  }
  writer.measured(() => {
    for (const [name, value] of Object.entries(properties)) {
      if (value === undefined) continue;
      const spec = propertyByName(name);
      if (spec === undefined) throw new PacketEncodeError(`unknown property ${name}`);
      if (!spec.places.includes(place)) throw new PacketEncodeError(`${name} cannot stand in ${place}`);
      writeProperty(writer, spec, value);
    }
  });
}

function writeProperty(writer: PacketWriter, spec: PropertySpec, value: Properties[keyof Properties]): void {
  switch (spec.type) {
    case "pair":
      for (const [name, text] of value as [string, string][]) {
        writer.byte(spec.id);
        writer.string(name);
        writer.string(text);
      }
      return;
    case "varint":
      for (const number of value as number[]) {
        writer.byte(spec.id);
        writer.varint(number);
      }
      return;
    default:
      writer.byte(spec.id);
      writeValue(writer, spec, value);
  }
}

/** The value of a property that occurs once. */
function writeValue(writer: PacketWriter, spec: PropertySpec, value: unknown): void {
  switch (spec.type) {
    case "byte":
      writer.byte(value as number);
      return;
    case "u16":
      writer.u16(value as number);
      return;
    case "u32":
      writer.u32(value as number);
      return;
    case "string":
      writer.string(value as string);
      return;
    case "binary":
      writer.binary(value as Uint8Array);
  }
}
