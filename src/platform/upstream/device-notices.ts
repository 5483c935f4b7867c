// Tells the feed who came and went, and what became of devices in the registry. Makes nothing while nobody listens.
import type { Device, DeviceRegistry } from "../registry/index.ts";
import { Registry } from "../registry/index.ts";
import type { MessageIds } from "../shared/message-ids.ts";
import type { DeviceId } from "../names/user-name.ts";
import type { UpstreamFeed } from "./feed.ts";
import {
  type LifecycleAction,
  lifecycleNotice,
  type Notice,
  statusNotice,
  topologyNotice,
} from "./notices.ts";
import type { UpstreamKind } from "./upstream-message.ts";

export class DeviceNotices {
  readonly #feed: UpstreamFeed;
  readonly #registry: DeviceRegistry;
  readonly #ids: MessageIds;
  readonly #unfollow: (() => void)[] = [];

  constructor(feed: UpstreamFeed, registry: DeviceRegistry, ids: MessageIds) {
    this.#feed = feed;
    this.#registry = registry;
    this.#ids = ids;
    if (!(registry instanceof Registry)) return;
    const follow = (name: "created" | "deleted" | "enabled" | "disabled", action: LifecycleAction): void => {
      this.#unfollow.push(registry.on(`device.${name}`, (device) => this.#lifecycle(action, device)));
    };
    follow("created", "create");
    follow("deleted", "delete");
    follow("enabled", "enable");
    follow("disabled", "disable");
    this.#unfollow.push(registry.on("devices.imported", ({ devices }) => this.#imported(devices())));
  }

  /** Somebody listens: only then is it worth while to find out what is to be told. */
  get active(): boolean {
    return this.#feed.active;
  }

  /** `lastTime`: of the last communication before, ms since the epoch [STATUS-1]. */
  status(status: "online" | "offline", device: DeviceId, lastTime: number, clientIp: string): void {
    if (!this.#feed.active) return;
    const time = Date.now();
    const found = this.#registry.findDevice(device.productKey, device.deviceName);
    const tell = (iotId: string | undefined): void =>
      this.#offer(
        "status",
        device,
        statusNotice({ status, device: { ...device, iotId }, time, lastTime, clientIp }),
        time,
      );
    if (found instanceof Promise) {
      found.then(
        (known) => tell(known?.iotId),
        () => tell(undefined),
      );
    } else tell(found?.iotId);
  }

  /** Tells a new reader who went with a broker that was killed, unless it has come since [STATUS-1]. */
  async unseen(productKey: string | undefined): Promise<void> {
    if (!(this.#registry instanceof Registry)) return;
    const registry = this.#registry;
    while (this.#feed.active) {
      const ends = await registry.takeEnds(productKey);
      if (ends.length === 0) return;
      for (const { device, at, address = "" } of ends) {
        const known = registry.findDevice(device.productKey, device.deviceName);
        if (known === undefined || (registry.stateOf(known).lastOnlineAt ?? 0) > at) continue;
        this.status("offline", device, at, address);
      }
    }
  }

  /** Sub-devices joined or left a gateway [GW-1]. */
  topology(action: "add" | "delete", gateway: DeviceId, subDevices: readonly DeviceId[]): void {
    if (!this.#feed.active || !(this.#registry instanceof Registry)) return;
    const registry = this.#registry;
    const time = Date.now();
    const named = ({ productKey, deviceName }: DeviceId) => ({
      iotId: registry.findDevice(productKey, deviceName)?.iotId,
      productKey,
      deviceName,
    });
    this.#offer(
      "topology",
      gateway,
      topologyNotice(action, named(gateway), subDevices.map(named), time),
      time,
    );
  }

  close(): void {
    for (const unfollow of this.#unfollow.splice(0)) unfollow();
  }

  /** Told as others are, a page of them to a turn of the event loop, while somebody listens [LIFE-1]. */
  #imported(devices: AsyncIterable<Device>): void {
    if (!this.#feed.active) return;
    const tell = async (): Promise<void> => {
      for await (const device of devices) {
        if (!this.#feed.active) return;
        this.#lifecycle("create", device);
      }
    };
    // A row that cannot be read: the registry says so to whoever asks for the device.
    tell().catch(() => undefined);
  }

  #lifecycle(action: LifecycleAction, device: Device): void {
    if (!this.#feed.active) return;
    const time = Date.now();
    this.#offer("lifecycle", device, lifecycleNotice(action, device, time), time);
  }

  #offer(kind: UpstreamKind, { productKey, deviceName }: DeviceId, notice: Notice, time: number): void {
    const { topic, payload } = notice;
    const device = { productKey, deviceName };
    this.#feed.offer({
      kind,
      device,
      topic,
      payload,
      qos: 0,
      properties: {},
      messageId: this.#ids.next(),
      time,
    });
  }
}
