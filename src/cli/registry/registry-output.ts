// How the commands of the registry print: text for people, or one JSON document, page by page, so that a list of any length
// needs little memory.
import { messageOf } from "../../access/atomic-file.ts";
import { OperationError } from "../../errors.ts";
import { printable } from "./printable.ts";
import type { DeviceAnswer, FirmwareAnswer, ProductAnswer } from "./registry-calls.ts";

/** Takes text; a promise slows the producer down. */
export type Output = (text: string) => Promise<void>;

export async function standardOutput(content: string | Uint8Array): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) =>
      process.stdout.write(content, (error) => (error ? reject(error) : resolve())),
    );
  } catch (cause) {
    // Whoever reads has seen enough: commands.ts ends in peace.
    if ((cause as NodeJS.ErrnoException).code === "EPIPE") throw cause;
    const message = `standard output: cannot be written: ${messageOf(cause)}`;
    throw new OperationError("FILE_WRITE", message, { cause });
  }
}

/** Entries of pages as one JSON array, one entry a line. */
export async function printArray<T>(pages: AsyncIterable<readonly T[]>, output: Output): Promise<void> {
  let separator = "[\n";
  for await (const page of pages) {
    let text = "";
    for (const entry of page) {
      text += `${separator}${JSON.stringify(entry)}`;
      separator = ",\n";
    }
    await output(text);
  }
  await output(separator === "[\n" ? "[]\n" : "\n]\n");
}

export function printDocument(value: object, output: Output): Promise<void> {
  return output(`${JSON.stringify(value, null, 2)}\n`);
}

type Line = readonly [name: string, value: string | number | null];

function lines(all: readonly Line[]): string {
  const shown = all.filter(([, value]) => value !== null && value !== "");
  const width = Math.max(...shown.map(([name]) => name.length)) + 2;
  return shown.map(([name, value]) => `${name.padEnd(width)}${value}\n`).join("");
}

export function productText(product: ProductAnswer): string {
  const { topicClasses } = product;
  return (
    lines([
      ["productKey", product.productKey],
      ["productSecret", product.productSecret],
      ["name", product.name],
      ["nodeType", product.nodeType],
      ["authType", product.authType],
      ["dataFormat", product.dataFormat],
      ["dynamicRegistration", product.dynamicRegistration ? "on" : "off"],
      ["freeTopics", product.freeTopics ? "on" : "off"],
      ["thingModel", product.hasModel ? "yes" : "no"],
      ["devices", product.devices],
      ["createdAt", product.createdAt],
    ]) + topicText(topicClasses)
  );
}

export function topicText(classes: ProductAnswer["topicClasses"]): string {
  return classes.map(({ permission, suffix }) => `topic  ${permission.padEnd(3)}  ${suffix}\n`).join("");
}

export function deviceText(device: DeviceAnswer): string {
  const { gateway } = device;
  return printable(
    lines([
      ["productKey", device.productKey],
      ["deviceName", device.deviceName],
      ["deviceSecret", device.deviceSecret],
      ["iotId", device.iotId],
      ["nickname", device.nickname],
      ["status", device.status],
      ["createdAt", device.createdAt],
      ["activatedAt", device.activatedAt],
      ["lastOnlineAt", device.lastOnlineAt],
      ["lastOfflineAt", device.lastOfflineAt],
      ["remoteAddress", device.remoteAddress],
      ["protocolFamily", device.protocolFamily],
      ["firmwareVersion", device.firmwareVersion],
      ["certificate", device.certificate],
      ["gateway", gateway && `${gateway.deviceName} of product ${gateway.productKey}`],
    ]) + device.tags.map(({ key, value }) => `tag  ${key}=${value.replaceAll("\n", "\\n")}\n`).join(""),
  );
}

/** Behind its device. */
export function firmwareText(ota: FirmwareAnswer | null): string {
  if (ota === null) return "";
  const modules = ota.modules.map(({ module, version, upgrade }) => {
    const step = upgrade?.step == null ? "" : ` ${upgrade.step}${upgrade.step < 0 ? "" : "%"}`;
    const desc = upgrade?.desc ? ` (${upgrade.desc})` : "";
    const under = upgrade && `  ${upgrade.version}: ${upgrade.state}${step}${desc}, ${upgrade.time}`;
    return `module  ${module}  ${version ?? "-"}${under ?? ""}\n`;
  });
  return printable(`${modules.join("")}otaReportedAt  ${ota.reportedAt ?? "-"}\n`);
}

/** One line of a list. */
export function deviceLine({ deviceName, status, nickname, lastOnlineAt }: DeviceAnswer): string {
  return printable(
    `${deviceName.padEnd(32)}  ${status.padEnd(8)}  ${lastOnlineAt ?? "-"}  ${nickname}`.trimEnd(),
  );
}

export function productLine({ productKey, name, nodeType, devices }: ProductAnswer): string {
  return `${productKey.padEnd(11)}  ${nodeType.padEnd(7)}  ${String(devices).padStart(8)} devices  ${name}`;
}
