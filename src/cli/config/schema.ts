// The configuration file, described once: validation, suggestions and the tables of docs/configuration.md come from
// here. Loaded only when a configuration file is given, because zod takes a good part of the start-up time.
import { z } from "zod";
import { LIMITS, type LimitName, type LimitRow, rangeOf } from "../../limits.ts";
import { SETTINGS, type SettingRow } from "../../platform/settings/settings.ts";
import { DURABILITIES, LOG_LEVELS, PROFILES } from "../arguments/arguments.ts";
import { DEFAULTS } from "./defaults.ts";

/** What docs/configuration.md shows for a key. */
export interface KeyNotes {
  readonly description: string;
  readonly unit: string;
  readonly default: string;
}

function notes(description: string, byDefault: unknown, unit = "–"): KeyNotes & Record<string, unknown> {
  return { description, unit, default: String(byDefault) };
}

const file = z.string().min(1).max(4096);

function tlsVersion<const T extends readonly [string, ...string[]]>(
  versions: T,
  description: string,
  byDefault: string,
) {
  // YAML reads an unquoted 1.2 as a number.
  return z
    .preprocess(
      (value) => (typeof value === "number" ? value.toFixed(1) : value),
      z.enum(versions).optional(),
    )
    .meta(notes(description, byDefault));
}

const tls = z.strictObject({
  key: file.meta(notes("private key, PEM file", "self-signed, kept in the data directory")).optional(),
  cert: file.meta(notes("certificate chain, PEM file; goes with `key`", "self-signed")).optional(),
  ca: file.meta(notes("accepted client CAs, PEM file", "none")).optional(),
  minVersion: tlsVersion(
    ["1.0", "1.1", "1.2", "1.3"],
    "lowest TLS version; 1.0 and 1.1 lower OpenSSL's security level on the listener",
    DEFAULTS.tlsMinVersion,
  ),
  maxVersion: tlsVersion(["1.2", "1.3"], "highest TLS version", DEFAULTS.tlsMaxVersion),
  clientCertificate: z
    .enum(["none", "request", "require"])
    .meta(
      notes(
        "`request` takes a client certificate if sent, `require` refuses clients without one; both need `ca`",
        "none",
      ),
    )
    .optional(),
});

const listener = z.strictObject({
  url: z
    .string()
    .min(1)
    .max(1024)
    .meta(
      notes(
        "`tcp://`, `tls://`, `ws://`, `wss://`, `auto://`, `http://`, `https://` HOST[:PORT], or `unix:///PATH`",
        "required",
      ),
    ),
  profile: z.enum(PROFILES).meta(notes("profile of this listener", "`profile`")).optional(),
  psk: z
    .boolean()
    .meta(
      notes(
        "platform profile: take TLS with a pre-shared key made of the device's secret [AUTH-12]",
        "false",
      ),
    )
    .optional(),
  anonymous: z
    .boolean()
    .meta(notes("standard profile: admit clients without credentials", "`anonymous`; else only on loopback"))
    .optional(),
  tls: tls.meta(notes("certificate of this listener", "`tls`")).optional(),
  proxyProtocolFrom: z
    .array(z.string().min(1).max(64))
    .max(256)
    .meta(notes("addresses or CIDR ranges of proxies that send a PROXY protocol head", "none"))
    .optional(),
  allowedOrigins: z
    .array(z.string().min(1).max(256))
    .max(256)
    .meta(
      notes(
        "origins of browser pages that may connect, besides the listener's own host; `*` admits all",
        "none",
      ),
    )
    .optional(),
});

const limits = z.strictObject(
  Object.fromEntries(
    (Object.entries(LIMITS) as [LimitName, LimitRow][]).map(([name, row]) => {
      const { least, most } = rangeOf(row);
      return [
        name,
        z
          .int()
          .min(least)
          .max(most)
          .meta(notes(row.beyond, row.value, row.unit))
          .optional(),
      ];
    }),
  ) as { [name in LimitName]: z.ZodOptional<z.ZodInt> },
);

/** A group of settings of the platform profile, each from its row. */
const platform = z.strictObject(
  Object.fromEntries(
    Object.entries(SETTINGS).map(([group, rows]) => [
      group,
      z
        .strictObject(Object.fromEntries(Object.entries(rows).map(([name, row]) => [name, setting(row)])))
        .meta(notes(`platform profile: settings of ${group}`, "see below"))
        .optional(),
    ]),
  ),
);

function setting(row: SettingRow): z.ZodType {
  const { value, about, unit, byDefault, least, most } = row;
  const meta = notes(about, byDefault ?? value, unit);
  if (typeof value === "boolean") return z.boolean().meta(meta).optional();
  if (typeof value === "number")
    return z
      .int()
      .min(least ?? 0)
      .max(most ?? Number.MAX_SAFE_INTEGER)
      .meta(meta)
      .optional();
  if (typeof value === "object")
    return z
      .strictObject({
        code3: z.int().min(1).max(5).meta(notes("return code of 3.x", value.code3)),
        reason: z.int().min(0x80).max(0x9f).meta(notes("reason code of 5.0", value.reason)),
      })
      .meta(meta)
      .optional();
  if (row.choices !== undefined)
    return z
      .enum(row.choices as readonly string[])
      .meta(meta)
      .optional();
  return z.string().min(1).max(256).meta(meta).optional();
}

export const configSchema = z.strictObject({
  profile: z
    .enum(PROFILES)
    .meta(
      notes(
        "`platform`: the rules of the Alibaba Cloud IoT Platform; `standard`: MQTT to the letter",
        DEFAULTS.profile,
      ),
    )
    .optional(),
  listeners: z
    .array(listener)
    .min(1)
    .max(64)
    .meta(notes("what to listen on; replaces the default listeners", DEFAULTS.listeners.join(", ")))
    .optional(),
  tls: tls
    .meta(notes("certificate of every TLS listener that has none of its own", "self-signed"))
    .optional(),
  data: file.meta(notes("data directory", `./${DEFAULTS.data}`)).optional(),
  durability: z
    .enum(DURABILITIES)
    .meta(
      notes(
        "what an acknowledged message survives: `power` loss of power, `process` a crash of the broker, `none` nothing",
        DEFAULTS.durability,
      ),
    )
    .optional(),
  logLevel: z
    .enum(LOG_LEVELS)
    .meta(notes(LOG_LEVELS.join(", "), DEFAULTS.logLevel))
    .optional(),
  anonymous: z
    .boolean()
    .meta(notes("standard profile: admit clients without credentials", "only on listeners bound to loopback"))
    .optional(),
  passwordFile: file.meta(notes("standard profile: users, see `millrace passwd`", "none")).optional(),
  aclFile: file
    .meta(notes("standard profile: who may publish and subscribe where", "everything is allowed"))
    .optional(),
  sysInterval: z
    .int()
    .min(0)
    .max(86_400)
    .meta(notes("time between updates of `$SYS/broker/…`; 0: none", DEFAULTS.sysInterval, "s"))
    .optional(),
  sharedStrategy: z
    .enum(["round-robin", "hash"])
    .meta(
      notes(
        "member of a shared subscription: in turn, or by hash of the publisher's session",
        DEFAULTS.sharedStrategy,
      ),
    )
    .optional(),
  willsAtShutdown: z
    .boolean()
    .meta(
      notes("publish the Wills of connected clients when the broker shuts down", DEFAULTS.willsAtShutdown),
    )
    .optional(),
  sharedMoveAtDisconnect: z
    .boolean()
    .meta(
      notes(
        "unacknowledged QoS 1 of a shared subscription moves to another member at disconnect, not at session end",
        DEFAULTS.sharedMoveAtDisconnect,
      ),
    )
    .optional(),
  platform: platform.meta(notes("settings of the platform profile by group", "see below")).optional(),
  limits: limits.meta(notes("limits by name", "see below")).optional(),
});

export type ConfigFile = z.infer<typeof configSchema>;
export type TlsConfig = z.infer<typeof tls>;

/** A key of the file with its notes; `path` is dotted, `[]` marks list items. */
export interface KeyRow extends KeyNotes {
  readonly path: string;
}

interface Layer {
  readonly notes?: KeyNotes;
  readonly shape?: { readonly [key: string]: z.core.$ZodType };
  readonly element?: z.core.$ZodType;
}

/** Takes off optional, preprocess and array wrappers, keeping what they say. */
function peel(schema: z.core.$ZodType): Layer {
  const meta = z.globalRegistry.get(schema) as KeyNotes | undefined;
  const own = meta === undefined ? {} : { notes: meta };
  if (schema instanceof z.ZodOptional) return { ...peel(schema.def.innerType), ...own };
  if (schema instanceof z.ZodPipe) return { ...peel(schema.def.out), ...own };
  if (schema instanceof z.ZodArray) return { element: schema.def.element, ...own };
  if (schema instanceof z.ZodObject) return { shape: schema.def.shape, ...own };
  return own;
}

/** Every key of the file in order. */
export function configKeys(schema: z.core.$ZodType = configSchema, prefix = ""): KeyRow[] {
  const rows: KeyRow[] = [];
  for (const [key, child] of Object.entries(peel(schema).shape ?? {})) {
    const path = prefix === "" ? key : `${prefix}.${key}`;
    const layer = peel(child);
    if (layer.notes === undefined) throw new Error(`${path} has no notes`);
    rows.push({ path, ...layer.notes });
    rows.push(...(layer.element ? configKeys(layer.element, `${path}[]`) : configKeys(child, path)));
  }
  return rows;
}

/** Keys allowed in the object at `path`; none where there is no object. */
export function keysAt(path: readonly PropertyKey[]): string[] {
  let schema: z.core.$ZodType | undefined = configSchema;
  for (const step of path) {
    const layer: Layer = schema ? peel(schema) : {};
    schema = typeof step === "number" ? layer.element : layer.shape?.[String(step)];
  }
  return Object.keys((schema && peel(schema).shape) ?? {});
}
