// Products and devices: the class everybody reads and changes them through, whatever table it stands on. A change holds for
// the next question, and is on the disk where the table is a file, when its promise resolves; then its event is told.
import { OperationError } from "../../errors.ts";
import type { DeviceId } from "../names/user-name.ts";
import {
  completeDevice,
  type Device,
  type DeviceChanges,
  type DeviceToken,
  type NewDevice,
  type ProtocolFamily,
} from "./devices/device.ts";
import { Activations, activatedDevice, isActivated } from "./presence/activations.ts";
import { DeviceImport } from "./changes/device-import.ts";
import {
  addToCount,
  changedDevice,
  eraseDevice,
  eraseProduct,
  imported,
  insertDevice,
  insertProduct,
  needDevice,
  needProduct,
  readDevice,
  replaceDevice,
} from "./changes/edits.ts";
import { endPresent, takeEnds, type UnseenEnd } from "./presence/ends.ts";
import { countKey, IMPORTS, markKey, REMOVALS, removalKey, untoldKey } from "./table/keys.ts";
import { removeDevices, removeRows } from "./changes/leftovers.ts";
import { encodeDevice } from "./table/records.ts";
import { completeProduct, invalidEntry, type NewProduct } from "./devices/product.ts";
import { ProductRegistry } from "./product-registry.ts";
import type { Draft } from "./table/table.ts";
import { issueToken } from "./devices/tokens.ts";
import { noteDeletedProduct, tellUntold } from "./changes/untold.ts";

export class Registry extends ProductRegistry {
  #import: DeviceImport | undefined;
  #cleaning: Promise<void> = Promise.resolve();
  readonly #activations = new Activations({
    change: (work, effect) => this.changes.makeSoon(work, effect),
    find: ({ productKey, deviceName }) => this.findDevice(productKey, deviceName),
    staging: this.staging,
    activated: (device) => {
      // Nearly always it is there: it was when it connected.
      if (this.cache.get(device.productKey, device.deviceName) !== device) this.cache.set(device);
      this.events.emit("device.changed", device);
    },
    failed: (error) => {
      this.cache.clear();
      this.logger.error({ err: error }, "first connections of devices could not be kept");
    },
  });

  /** Goes on where the process before was interrupted; in the background, nobody sees what is left over. */
  cleanUp(): void {
    const removals = [...this.entries(REMOVALS)].map(({ key }) => key.slice(REMOVALS.length));
    const imports = [...this.entries(IMPORTS)].map(({ key }) => Number(key.slice(IMPORTS.length)));
    this.#clean(async () => {
      for (const productKey of removals) await this.#removeDevices(productKey);
      for (const number of imports) await removeRows(number, this.#access());
    });
  }

  #clean(work: () => Promise<void>): Promise<void> {
    const done = this.#cleaning.then(work);
    this.#cleaning = done.catch((error: unknown) => {
      if (!this.closed)
        this.logger.error(
          { err: error },
          "rows nobody sees could not be removed; tried again at the next start",
        );
    });
    return done;
  }

  // ---- products ----

  /**
   * Removes a product; one that has devices only with `withDevices`. From the first moment nobody sees its devices any more;
   * resolves when they are removed and device.deleted was told of each.
   */
  async deleteProduct(productKey: string, options: { readonly withDevices?: boolean } = {}): Promise<void> {
    if (this.#import !== undefined) throw imported("what is deleted perhaps");
    await this.change(
      (draft) => {
        const product = needProduct(draft, productKey, this.staging);
        const count = Number(draft.get(countKey(productKey)) ?? 0);
        if (count > 0 && options.withDevices !== true) {
          const message = `productKey: product ${productKey} has devices (${count}): delete them first, or all with it (--with-devices)`;
          throw new OperationError("REGISTRY_IN_USE", message);
        }
        eraseProduct(draft, product);
        if (!this.events.has("product.deleted")) noteDeletedProduct(draft, product);
        return product;
      },
      (product) => {
        this.forget(productKey);
        this.cache.clear();
        this.currentGeneration++;
        this.events.emit("product.deleted", product);
      },
    );
    await this.#clean(() => this.#removeDevices(productKey));
  }

  async #removeDevices(productKey: string): Promise<void> {
    await removeDevices(productKey, this.#access(), (device) => this.deviceGone(device));
    await this.changes.make(
      (draft) => draft.remove(removalKey(productKey)),
      () => {},
    );
  }

  #access() {
    return {
      table: this.table,
      changes: this.changes,
      stopped: () => this.closed,
      erase: (draft: Draft, device: Device) => this.#erase(draft, device),
    };
  }

  // ---- devices ----

  /** Adds a device to a product. What is not given is made, or empty. */
  async createDevice(fields: NewDevice): Promise<Device> {
    const device = completeDevice(fields);
    return this.change(
      (draft) => {
        this.#insertDevice(draft, device);
        return device;
      },
      () => this.deviceSet(device, "device.created"),
    );
  }

  #insertDevice(draft: Draft, device: Device): void {
    const { productKey, deviceName } = device;
    needProduct(draft, productKey, this.staging);
    const found = readDevice(draft, device, this.staging);
    if (found === "staged") throw imported(`device ${deviceName}`);
    if (found !== undefined) {
      const message = `deviceName: product ${productKey} has a device "${deviceName}" already: choose another name`;
      throw new OperationError("REGISTRY_EXISTS", message);
    }
    insertDevice(draft, device);
    addToCount(draft, productKey, 1);
  }

  /** `changes` may depend on what is there: reading and writing are one step. */
  async updateDevice(
    productKey: string,
    deviceName: string,
    changes: DeviceChanges | ((before: Device) => DeviceChanges),
  ): Promise<Device> {
    return this.#editDevice(
      { productKey, deviceName },
      (before) => changedDevice(before, typeof changes === "function" ? changes(before) : changes),
      "device.changed",
    );
  }

  issueToken(id: DeviceId): Promise<DeviceToken | undefined> {
    return issueToken(this, id);
  }

  /** [AUTH-13] Enabling an enabled device changes nothing and tells nobody; so does disabling a disabled one. */
  async enableDevice(productKey: string, deviceName: string): Promise<Device> {
    const enable = (before: Device): Device => (before.enabled ? before : { ...before, enabled: true });
    return this.#editDevice({ productKey, deviceName }, enable, "device.enabled");
  }

  async disableDevice(productKey: string, deviceName: string): Promise<Device> {
    const disable = (before: Device): Device => (before.enabled ? { ...before, enabled: false } : before);
    return this.#editDevice({ productKey, deviceName }, disable, "device.disabled");
  }

  /** As it was before its first connection: not activated, of no protocol family, without tokens; the secret stays [DYN-3]. */
  async resetDevice(productKey: string, deviceName: string): Promise<Device> {
    const reset = (before: Device): Device => ({
      ...before,
      activatedAt: undefined,
      protocolFamily: undefined, // [NET-3]
      tokens: [],
    });
    return this.#editDevice({ productKey, deviceName }, reset, "device.reset");
  }

  #editDevice(
    id: DeviceId,
    edit: (before: Device) => Device,
    event: "device.changed" | "device.enabled" | "device.disabled" | "device.reset",
  ): Promise<Device> {
    return this.change(
      (draft) => {
        const before = needDevice(draft, id, this.staging);
        const after = edit(before);
        if (after.gateway !== undefined && after.gateway !== before.gateway)
          this.#checkGateway(draft, after, after.gateway);
        if (after !== before) replaceDevice(draft, before, after);
        return { before, after };
      },
      ({ before, after }) => {
        if (after === before) return;
        this.deviceSet(after, event);
        if (event === "device.reset") this.events.emit("device.tokensGone", before);
        if (before.certificate !== undefined && before.certificate !== after.certificate)
          this.events.emit("device.certificateGone", after);
      },
    ).then(({ after }) => after);
  }

  /** [GW-1] */
  #checkGateway(draft: Draft, device: Device, gateway: DeviceId): void {
    if (gateway.productKey === device.productKey && gateway.deviceName === device.deviceName)
      throw invalidEntry("gateway", "a device is no gateway of itself");
    needDevice(draft, gateway, this.staging);
    if (needProduct(draft, gateway.productKey, this.staging).nodeType !== "gateway")
      throw invalidEntry("gateway", `product ${gateway.productKey} is none of gateways`);
  }

  protected deviceSet(
    device: Device,
    event: "device.created" | "device.changed" | "device.enabled" | "device.disabled" | "device.reset",
  ): void {
    this.cache.delete(device);
    this.events.emit(event, device);
  }

  /** Resolves to what it was. */
  async deleteDevice(productKey: string, deviceName: string): Promise<Device> {
    return this.change(
      (draft) => {
        const device = needDevice(draft, { productKey, deviceName }, this.staging);
        this.#erase(draft, device);
        addToCount(draft, productKey, -1);
        return device;
      },
      (device) => this.deviceGone(device),
    );
  }

  /** Where no broker listens, what it keeps for the device must wait for one that does. */
  #erase(draft: Draft, device: Device): void {
    eraseDevice(draft, device);
    if (!this.events.has("device.deleted")) draft.put(untoldKey(device), encodeDevice(device));
  }

  protected deviceGone(device: Device): void {
    this.cache.delete(device);
    this.presence.forget(device);
    this.#tellDeleted(device);
  }

  #tellDeleted(device: Device): void {
    this.events.emit("device.deleted", device);
    this.events.emit("device.tokensGone", device);
  }

  /**
   * Tells of products and devices that were deleted while nobody listened, so that one that was made anew under the same name finds
   * nothing of theirs. For a broker, before it lets anybody in.
   */
  tellOfDeleted(): Promise<void> {
    return tellUntold(this.table, this.changes, {
      product: (product) => this.events.emit("product.deleted", product),
      device: (device) => {
        // One that has connected since found a broker: what is kept is its own.
        const anew = this.findDevice(device.productKey, device.deviceName);
        if (anew?.activatedAt === undefined) this.#tellDeleted(device);
      },
    });
  }

  // ---- what is done once ----

  /** Adds products and devices, all of them in one commit, and sets a mark; see hasMark(). */
  async putAll(products: readonly NewProduct[], devices: readonly NewDevice[], mark: string): Promise<void> {
    const newProducts = products.map(completeProduct);
    const newDevices = devices.map(completeDevice);
    await this.change(
      (draft) => {
        for (const product of newProducts) insertProduct(draft, product);
        for (const device of newDevices) this.#insertDevice(draft, device);
        draft.put(markKey(mark), "");
      },
      () => {
        for (const product of newProducts) this.productSet(product, "product.created");
        for (const device of newDevices) this.deviceSet(device, "device.created");
      },
    );
  }

  // ---- connections ----

  /** A device has connected: it is online, activated at its first time [AUTH-14], and of a protocol family [NET-3]. */
  connected(id: DeviceId, family: ProtocolFamily | undefined, remoteAddress?: string): void {
    const now = Date.now();
    this.presence.connected(id, remoteAddress, now);
    const device = this.findDevice(id.productKey, id.deviceName);
    if (device?.enabled !== true) {
      this.events.emit("device.late", { id, why: device === undefined ? "deleted" : "disabled" });
      return;
    }
    if (this.closed) return;
    if (isActivated(device, family)) return;
    // It holds for the next question at once: the next connection must be of its family.
    this.cache.set(activatedDevice(device, family, now));
    this.#activations.add({ id, family, at: now });
  }

  disconnected(id: DeviceId): void {
    this.presence.disconnected(id, Date.now());
  }

  /** Ends the connections of a broker that was killed, before anybody is let in; tells of each. */
  async endPresent(ended: (end: UnseenEnd) => void): Promise<void> {
    for (;;) {
      const ends = await endPresent(this.table, this.changes);
      if (ends === undefined) break;
      for (const end of ends)
        if (this.findDevice(end.device.productKey, end.device.deviceName) !== undefined) ended(end);
    }
    this.presence.begin();
  }

  /** Some of them, of a product or of all, of which this has not told yet; empty: no more. */
  takeEnds(productKey?: string): Promise<readonly UnseenEnd[]> {
    return takeEnds(this.table, this.changes, productKey);
  }

  // ---- import ----

  /** Begins an import, see DeviceImport. One at a time. */
  async beginImport(): Promise<DeviceImport> {
    if (this.#import !== undefined) {
      const message = "another import is under way: try again when it has ended";
      throw new OperationError("REGISTRY_BUSY", message);
    }
    await this.#cleaning;
    if (this.closed) throw new OperationError("REGISTRY_CLOSED", "the registry is closed");
    const started = new DeviceImport({
      ...this.#access(),
      staging: this.staging,
      products: this.productsByKey,
      ended: (products, count, devices) => {
        this.#import = undefined;
        this.cache.clear();
        for (const product of products) this.productSet(product, "product.created");
        if (count > 0) this.events.emit("devices.imported", { count, devices });
      },
      clean: (work) => this.#clean(work),
    });
    this.#import = started;
    try {
      await started.begin();
    } catch (error) {
      this.#import = undefined;
      throw error;
    }
    return started;
  }

  // ---- end ----

  /** A consistent copy of this moment as `<directory>/data.mdb`. */
  async backup(directory: string): Promise<void> {
    if (this.table.backup === undefined)
      throw new OperationError("STORE_MISSING", "this registry is in memory: there is nothing to copy");
    await this.presence.flush();
    await this.table.backup(directory);
  }

  /** Resolves when leftovers of deleted products and of broken imports are removed. */
  async settled(): Promise<void> {
    await this.#cleaning;
    await this.changes.drain();
  }

  /** Writes what waits, then closes the table. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.#cleaning;
    this.presence.close();
    await this.presence
      .flush()
      .catch((error: unknown) => this.logger.error({ err: error }, "times of connections could not be kept"));
    await this.changes.drain();
    await this.table.close();
  }
}
