// The part of the registry that changes products: their fields, topic classes and thing models. Devices, and what happens to
// them when a product goes, are registry.ts.
import { OperationError } from "../../errors.ts";
import type { TopicClass } from "../names/topic-classes.ts";
import { insertProduct, needProduct, replaceProduct } from "./changes/edits.ts";
import { modelKey } from "./table/keys.ts";
import {
  checkModel,
  checkProduct,
  completeProduct,
  type NewProduct,
  type Product,
  type ProductChanges,
} from "./devices/product.ts";
import { RegistryReader } from "./registry-reader.ts";
import type { Draft } from "./table/table.ts";

export class ProductRegistry extends RegistryReader {
  protected closed = false;

  protected change<T>(work: (draft: Draft) => T, effect: (result: T) => void): Promise<T> {
    if (this.closed) throw new OperationError("REGISTRY_CLOSED", "the registry is closed");
    return this.changes.make(work, effect);
  }

  /** Adds a product. What is not given has the value of a new product; key and secret are made. */
  async createProduct(fields: NewProduct = {}): Promise<Product> {
    const product = completeProduct(fields);
    return this.change(
      (draft) => {
        insertProduct(draft, product);
        return product;
      },
      () => this.productSet(product, "product.created"),
    );
  }

  async updateProduct(productKey: string, changes: ProductChanges): Promise<Product> {
    return this.#editProduct(productKey, (before) => ({ ...before, ...changes, productKey }));
  }

  /** [TOPIC-2], [TOPIC-4] */
  async addTopicClass(productKey: string, topicClass: TopicClass): Promise<Product> {
    const added = { suffix: topicClass.suffix, permission: topicClass.permission };
    return this.#editProduct(productKey, (before) => {
      const there = before.topicClasses.find(({ suffix }) => suffix === added.suffix);
      if (there !== undefined) {
        const message = `suffix: product ${productKey} has a topic class "${added.suffix}" (${there.permission}) already: delete it first`;
        throw new OperationError("REGISTRY_EXISTS", message);
      }
      return { ...before, topicClasses: [...before.topicClasses, added] };
    });
  }

  async removeTopicClass(productKey: string, suffix: string): Promise<Product> {
    return this.#editProduct(productKey, (before) => {
      const topicClasses = before.topicClasses.filter((topicClass) => topicClass.suffix !== suffix);
      if (topicClasses.length === before.topicClasses.length) {
        const message = `suffix: product ${productKey} has no topic class "${suffix}"; topic list shows them`;
        throw new OperationError("REGISTRY_MISSING", message);
      }
      return { ...before, topicClasses };
    });
  }

  /** Keeps a thing model (TSL, a JSON object) as it is; undefined takes it away. */
  async setModel(productKey: string, text: string | undefined): Promise<void> {
    if (text !== undefined) checkModel(text);
    await this.change(
      (draft) => {
        const product = needProduct(draft, productKey, this.staging);
        if (text === undefined) draft.remove(modelKey(productKey));
        else draft.put(modelKey(productKey), text);
        return product;
      },
      (product) => this.productSet(product, "product.changed"),
    );
  }

  #editProduct(productKey: string, edit: (before: Product) => Product): Promise<Product> {
    return this.change(
      (draft) => {
        const before = needProduct(draft, productKey, this.staging);
        const after = edit(before);
        checkProduct(after);
        replaceProduct(draft, before, after);
        return after;
      },
      (after) => this.productSet(after, "product.changed"),
    );
  }

  protected productSet(product: Product, event: "product.created" | "product.changed"): void {
    this.remember(product);
    this.currentGeneration++;
    this.events.emit(event, product);
  }
}
