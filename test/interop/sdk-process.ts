// The vendor's Node SDK in a process of its own (sdk-device.cjs), as a device or a gateway.
import { join } from "node:path";
import { JsonProcess } from "./json-process.ts";

export interface SdkOptions {
  readonly kind?: "device" | "gateway";
  readonly sdk?: "alibabacloud-iot-device-sdk" | "aliyun-iot-device-sdk";
  /** A file. */
  readonly ca?: string;
}

export class SdkProcess extends JsonProcess {
  constructor(config: object, { kind, sdk, ca }: SdkOptions = {}) {
    super(process.execPath, [join(import.meta.dirname, "sdk-device.cjs")], {
      DEVICE: JSON.stringify(config),
      ...(kind && { KIND: kind }),
      ...(sdk && { SDK: sdk }),
      ...(ca && { NODE_EXTRA_CA_CERTS: ca }),
    });
  }

  /** Connected, and what the SDK subscribes by itself is behind us. */
  async ready(topic: string): Promise<void> {
    await this.next("connect");
    await this.fence(topic);
  }

  /** Behind what the SDK has sent: one more subscription, acknowledged. */
  async fence(topic: string): Promise<void> {
    this.command({ do: "subscribe", topic });
    await this.next("subscribed", (event) => event["topic"] === topic);
  }
}
