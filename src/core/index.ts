// What `import … from "millrace/core"` gives: codec and topic matcher alone, for Node, Deno, Bun and browsers.
// Nothing imported from here may use an API of one runtime; a test walks the imports.
import type { Packet } from "../protocol/packet.ts";
import { encodePacket } from "../protocol/packet-encoder.ts";
import type { ProtocolLevel } from "../protocol/packet-types.ts";
import { checkLevel, type Decoded, decodeBytes } from "./codec.ts";
import { CoreError } from "./core-errors.ts";
import { Matcher } from "./matcher.ts";
import { type CoreExports, instantiate } from "./module.ts";
import { PacketParser, type ParserOptions } from "./packet-parser.ts";
import { PublishRun } from "./publish-run.ts";
import { Region } from "./region.ts";

/** A codec and a topic table with memory of their own. Cores share nothing with each other. */
export interface Core {
  /** Decodes the first packet of the bytes. A CONNECT tells its level itself; `level` is that of any other packet. */
  decode(bytes: Uint8Array, options: { level: ProtocolLevel }): Decoded;
  /** The bytes of a packet, for the caller to keep. Throws PacketEncodeError for what MQTT cannot express. */
  encode(packet: Packet, level: ProtocolLevel): Uint8Array;
  /** Reads one stream of packets, whatever chunks it comes in. One parser for each direction of a connection. */
  parser(options?: ParserOptions): PacketParser;
  /** Describes the PUBLISH packets of a client that a chunk begins with. The object is used again by the next call. */
  parsePublishes(chunk: Uint8Array, level: ProtocolLevel): PublishRun;
  /** The topic table of this core. */
  readonly matcher: Matcher;
}

/**
 * Opens a core. Without a module the one in this package is compiled, once; hosts that compile for themselves pass
 * `await WebAssembly.compile(…)` of the file `millrace/core.wasm` of the same version.
 */
export function createCore(module?: WebAssembly.Module): Core {
  const region = new Region(open(module));
  const run = new PublishRun(region);
  return {
    decode(bytes, { level }) {
      checkLevel(level);
      return decodeBytes(region, bytes, level);
    },
    encode(packet, level) {
      checkLevel(level);
      return encodePacket(packet, level);
    },
    parser: (options) => new PacketParser(region, options),
    parsePublishes(chunk, level) {
      checkLevel(level);
      return run.parse(chunk, level);
    },
    matcher: new Matcher(region),
  };
}

function open(module: WebAssembly.Module | undefined): CoreExports {
  if (module && !WebAssembly.Module.exports(module).some(({ name }) => name === "parseRun")) {
    throw new CoreError("CORE_MODULE", "the module is not core.wasm of this package");
  }
  try {
    return instantiate(module);
  } catch (cause) {
    if (cause instanceof WebAssembly.CompileError) {
      throw new CoreError("CORE_MODULE", "this runtime cannot compile the core: it needs WebAssembly SIMD", {
        cause,
      });
    }
    throw new CoreError("CORE_MEMORY", "the core could not reserve its memory", { cause });
  }
}

export { detailText } from "../protocol/details.ts";
export type * from "../protocol/packet.ts";
export type { PacketName, ProtocolLevel, Qos } from "../protocol/packet-types.ts";
export { PacketEncodeError } from "../protocol/packet-writer.ts";
export type { Properties, PropertyName, UserProperty } from "../protocol/properties.ts";
export { ReasonCode, reasonText } from "../protocol/reason-codes.ts";
export type { Decoded, DecodedPacket, IncompletePacket, RefusedPacket } from "./codec.ts";
export { CoreError, type CoreErrorCode, PacketDecodeError } from "./core-errors.ts";
export type { Matcher } from "./matcher.ts";
export type { PacketParser, ParserOptions } from "./packet-parser.ts";
export type { PublishRun, RunStop } from "./publish-run.ts";
