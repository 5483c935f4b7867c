// A device that goes on exchanging messages while something bad happens to others: each message it sends itself must come back,
// in order, before the next one leaves.
import type { RawClient } from "../../support/raw-client.ts";
import { PK } from "../signed-device.ts";
import { timePasses } from "../../support/time.ts";

/** Nobody's misdeed may hold up a bystander for this long. */
const PATIENCE_MS = 2_000;
/** Between two exchanges: they are to witness the others' work, not to crowd it out. */
const PAUSE_MS = 40;

export class Witness {
  readonly #client: RawClient;
  readonly #topic: string;
  #count = 0;

  private constructor(client: RawClient, topic: string) {
    this.#client = client;
    this.#topic = topic;
  }

  static async of(client: RawClient, deviceName: string): Promise<Witness> {
    const topic = `/${PK}/${deviceName}/user/both`;
    await client.subscribe(topic);
    return new Witness(client, topic);
  }

  /** Runs `work`, exchanging before, meanwhile and after. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    await this.#exchange();
    let working = true;
    const exchanging = (async () => {
      while (working) {
        await this.#exchange();
        await timePasses(PAUSE_MS);
      }
    })();
    try {
      return await work();
    } finally {
      working = false;
      await exchanging;
      await this.#exchange();
      await this.#client.expectNothing();
    }
  }

  async #exchange(): Promise<void> {
    const text = `${++this.#count}`;
    this.#client.send(this.#client.wire.publish(this.#topic, text));
    const echo = await this.#client.next("publish", PATIENCE_MS);
    if (echo.topic !== this.#topic || echo.text !== text)
      throw new Error(`the witness expected ${text}, received ${echo.topic} ${echo.text}`);
  }
}
