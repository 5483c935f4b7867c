// `millrace device …`, but for import: devices one by one, and all of them as CSV.
import { COLUMNS } from "../registry/import-rows.ts";
import { everyProduct } from "./product-command.ts";
import type { DeviceArguments } from "../arguments/registry-arguments.ts";
import type { DeviceAnswer, ProductAnswer, ShownDevice } from "../registry/registry-calls.ts";
import {
  deviceLine,
  deviceText,
  firmwareText,
  type Output,
  printArray,
  printDocument,
  standardOutput,
} from "../registry/registry-output.ts";
import { type RegistryPort, useRegistry } from "../registry/registry-port.ts";

const DONE = { enable: "enabled", disable: "disabled", reset: "reset", delete: "deleted" } as const;

/** Returns what to tell the user on standard error, if anything. */
export async function runDevice(
  { action, json, data }: DeviceArguments,
  output: Output = standardOutput,
): Promise<string | undefined> {
  return useRegistry({ data, command: "device" }, async (port) => {
    switch (action.verb) {
      case "create": {
        const { verb: _, ...fields } = action;
        const device = await port.call<DeviceAnswer>("device.create", fields);
        await (json ? printDocument(device, output) : output(deviceText(device)));
        return undefined;
      }
      case "list": {
        const pages = devicePages(port, action.productKey);
        if (json) await printArray(pages, output);
        else for await (const page of pages) await output(page.map((one) => `${deviceLine(one)}\n`).join(""));
        return undefined;
      }
      case "export":
        return exportDevices(port, action.productKey, json, output);
      default: {
        const { verb, productKey, deviceName } = action;
        const device = await port.call<ShownDevice>(`device.${verb}`, { productKey, deviceName });
        if (json) await printDocument(device, output);
        else if (verb === "show") await output(deviceText(device) + firmwareText(device.ota));
        return verb === "show" ? undefined : `device ${deviceName} of product ${productKey} is ${DONE[verb]}`;
      }
    }
  });
}

async function* devicePages(port: RegistryPort, productKey: string): AsyncGenerator<readonly DeviceAnswer[]> {
  for (let after: string | undefined; ; ) {
    const page = await port.call<DeviceAnswer[]>("device.list", { productKey, after });
    if (page.length === 0) return;
    after = page[page.length - 1].deviceName;
    yield page;
  }
}

interface Triple {
  readonly productKey: string;
  readonly deviceName: string;
  readonly deviceSecret: string;
  readonly productSecret: string;
  readonly nickname?: string;
}

async function exportDevices(
  port: RegistryPort,
  productKey: string | undefined,
  json: boolean,
  output: Output,
): Promise<string> {
  let count = 0;
  // Before the first line is printed.
  const only =
    productKey === undefined ? undefined : await port.call<ProductAnswer>("product.show", { productKey });
  async function* pages(): AsyncGenerator<readonly Triple[]> {
    const products = only === undefined ? everyProduct(port) : [only];
    for await (const product of products) {
      for await (const page of devicePages(port, product.productKey)) {
        count += page.length;
        yield page.map((device) => ({
          productKey: device.productKey,
          deviceName: device.deviceName,
          deviceSecret: device.deviceSecret,
          productSecret: product.productSecret,
          nickname: device.nickname || undefined,
        }));
      }
    }
  }
  if (json) await printArray(pages(), output);
  else {
    await output(`${COLUMNS.join(",")}\n`);
    for await (const page of pages())
      await output(
        page.map((row) => `${COLUMNS.map((name) => csvField(row[name] ?? "")).join(",")}\n`).join(""),
      );
  }
  return `devices exported: ${count}`;
}

/** RFC 4180: in quotes where it must be. */
function csvField(value: string): string {
  return /[",\r\n]|^\s|\s$/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}
