// `millrace product …`: products, their topic classes and thing models.
import { checkModel, invalidEntry } from "../../platform/registry/devices/product.ts";
import { modelDefect } from "../../platform/services/thing-model/thing-model.ts";
import { readFile } from "node:fs/promises";
import { messageOf } from "../../access/atomic-file.ts";
import { OperationError } from "../../errors.ts";
import type { ProductArguments } from "../arguments/registry-arguments.ts";
import type { ProductAnswer } from "../registry/registry-calls.ts";
import {
  type Output,
  printArray,
  printDocument,
  productLine,
  productText,
  standardOutput,
  topicText,
} from "../registry/registry-output.ts";
import { type RegistryPort, useRegistry } from "../registry/registry-port.ts";

/** Returns what to tell the user on standard error, if anything. */
export async function runProduct(
  { action, json, data }: ProductArguments,
  output: Output = standardOutput,
): Promise<string | undefined> {
  // Read before anything is opened.
  const model = action.verb === "model" ? await readModel(action.file) : "";
  return useRegistry({ data, command: "product", creates: action.verb === "create" }, async (port) => {
    const print = (product: ProductAnswer): Promise<void> =>
      json ? printDocument(product, output) : output(productText(product));
    switch (action.verb) {
      case "create":
        await print(await port.call("product.create", { ...action.fields }));
        return undefined;
      case "list": {
        const pages = productPages(port);
        if (json) await printArray(pages, output);
        else
          for await (const page of pages) await output(page.map((one) => `${productLine(one)}\n`).join(""));
        return undefined;
      }
      case "show":
        await print(await port.call("product.show", { productKey: action.productKey }));
        return undefined;
      case "update":
        await print(await port.call("product.update", { ...action.fields, productKey: action.productKey }));
        return undefined;
      case "delete": {
        const { productKey, withDevices } = action;
        const gone = await port.call<ProductAnswer>("product.delete", { productKey, withDevices });
        if (json) await printDocument(gone, output);
        return `product ${productKey} is deleted${gone.devices > 0 ? `, its devices too: ${gone.devices}` : ""}`;
      }
      case "topic list": {
        const { topicClasses } = await port.call<ProductAnswer>("product.show", {
          productKey: action.productKey,
        });
        await (json ? printDocument(topicClasses, output) : output(topicText(topicClasses)));
        return undefined;
      }
      case "topic add": {
        const { productKey, suffix, permission } = action;
        const { topicClasses } = await port.call<ProductAnswer>("product.addTopic", {
          productKey,
          suffix,
          permission,
        });
        await (json ? printDocument(topicClasses, output) : output(topicText(topicClasses)));
        return undefined;
      }
      case "topic delete": {
        const { productKey, suffix } = action;
        const { topicClasses } = await port.call<ProductAnswer>("product.deleteTopic", {
          productKey,
          suffix,
        });
        await (json ? printDocument(topicClasses, output) : output(topicText(topicClasses)));
        return undefined;
      }
      case "model": {
        const { productKey } = action;
        const product = await port.call<ProductAnswer>("product.setModel", { productKey, model });
        if (json) await printDocument(product, output);
        return `product ${productKey} has the thing model of ${action.file}`;
      }
    }
  });
}

async function* productPages(port: RegistryPort): AsyncGenerator<readonly ProductAnswer[]> {
  for (let after: string | undefined; ; ) {
    const page = await port.call<ProductAnswer[]>("product.list", { after });
    if (page.length === 0) return;
    after = page[page.length - 1].productKey;
    yield page;
  }
}

/** In the order of their keys. */
export async function* everyProduct(port: RegistryPort): AsyncGenerator<ProductAnswer> {
  for await (const page of productPages(port)) yield* page;
}

async function readModel(file: string): Promise<string> {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await readFile(file));
  } catch (cause) {
    const message = `${file}: cannot be read as a thing model: ${messageOf(cause)}`;
    throw new OperationError("FILE_READ", message, { cause });
  }
  checkModel(text);
  const defect = modelDefect(JSON.parse(text));
  if (defect !== undefined) throw invalidEntry("model", defect);
  return text;
}
