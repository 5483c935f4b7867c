// Handshakes in progress on a listener, by address. No address keeps the others off: when every place is taken, the
// oldest handshake of the address that holds most gives way. Knows neither sockets nor protocols.

/** Handshakes older than this part of their deadline are taken for stalled, and give way to anybody. */
const STALLED_PART = 4;

export interface HandshakeLimits {
  readonly maxHandshakes: number;
  readonly maxHandshakesPerAddress: number;
  readonly handshakeTimeoutMs: number;
}

export class Handshakes<T> {
  readonly #limits: HandshakeLimits;
  /** Must end what it is given, by end(). */
  readonly #giveWay: (handshake: T) => void;
  /** Begun when, ms, by network; each oldest first. */
  readonly #byNetwork = new Map<string, Map<T, number>>();
  readonly #networkOf = new Map<T, string>();

  constructor(limits: HandshakeLimits, giveWay: (handshake: T) => void) {
    this.#limits = limits;
    this.#giveWay = giveWay;
  }

  get size(): number {
    return this.#networkOf.size;
  }

  /** False where there is no place for it. Otherwise end() gives the place back. */
  begin(handshake: T, address: string, now: number = performance.now()): boolean {
    const network = networkOf(address);
    if (this.size >= this.#limits.maxHandshakes && !this.#makeRoom(network, now)) return false;
    let own = this.#byNetwork.get(network);
    if (own === undefined) {
      own = new Map();
      this.#byNetwork.set(network, own);
    }
    own.set(handshake, now);
    this.#networkOf.set(handshake, network);
    return true;
  }

  end(handshake: T): void {
    const network = this.#networkOf.get(handshake);
    if (network === undefined) return;
    this.#networkOf.delete(handshake);
    const own = this.#byNetwork.get(network);
    own?.delete(handshake);
    if (own?.size === 0) this.#byNetwork.delete(network);
  }

  #makeRoom(network: string, now: number): boolean {
    const { maxHandshakes, maxHandshakesPerAddress: share, handshakeTimeoutMs } = this.#limits;
    let most: Map<T, number> | undefined;
    for (const held of this.#byNetwork.values()) if (held.size > (most?.size ?? 0)) most = held;
    if (most === undefined) return false;
    const own = this.#byNetwork.get(network)?.size ?? 0;
    for (const [oldest, since] of most) {
      // A fleet behind one address that comes back at once is no attack: its handshakes are given time among themselves.
      const stalled = now - since >= handshakeTimeoutMs / STALLED_PART;
      if (!stalled && (own >= share || most.size <= share)) return false;
      this.#giveWay(oldest);
      break;
    }
    return this.size < maxHandshakes;
  }
}

/** Whoever has one IPv6 address has all 2^64 of its network. */
export function networkOf(address: string): string {
  if (!address.includes(":") || address.includes(".")) return address;
  const [left, right] = address.split("::");
  const first = left === "" ? [] : left.split(":");
  const last = right === undefined || right === "" ? [] : right.split(":");
  const zeros = new Array<string>(Math.max(0, 8 - first.length - last.length)).fill("0");
  return `${[...first, ...zeros, ...last].slice(0, 4).join(":")}::`;
}
