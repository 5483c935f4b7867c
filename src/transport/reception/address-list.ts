// A list of addresses and CIDR ranges, as configuration writes them.
import { BlockList, isIP } from "node:net";
import { ConfigError } from "../../errors.ts";

export class AddressList {
  readonly #list = new BlockList();

  /** `path` names the option in the error for an entry that is neither address nor range. */
  constructor(entries: readonly string[], path: string) {
    entries.forEach((entry, index) => {
      const [address, bits, rest] = entry.split("/");
      const version = isIP(address);
      const family = version === 4 ? "ipv4" : "ipv6";
      const width = bits === undefined ? undefined : Number(bits);
      const widthFits = width === undefined || (/^\d+$/.test(bits) && width <= (version === 4 ? 32 : 128));
      if (version === 0 || rest !== undefined || !widthFits) {
        throw new ConfigError(
          "ADDRESS_RANGE",
          `${path}[${index}]`,
          `"${entry}" is no IP address and no range; write for example 10.0.0.0/8, 192.0.2.7 or fd00::/8`,
        );
      }
      if (width === undefined) this.#list.addAddress(address, family);
      else this.#list.addSubnet(address, width, family);
    });
  }

  has(address: string): boolean {
    const version = isIP(address);
    return version !== 0 && this.#list.check(address, version === 4 ? "ipv4" : "ipv6");
  }
}
