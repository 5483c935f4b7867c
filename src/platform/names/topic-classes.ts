// Topic classes of a product: `/{pk}/${deviceName}/user/…` with a permission [TOPIC-2]. A class belongs to every device
// of its product at once. This file knows their form; grants.ts knows what they permit.

/** Seen from the device: PUB it publishes, SUB it subscribes, ALL both. */
export type TopicPermission = "PUB" | "SUB" | "ALL";

export interface TopicClass {
  /** What follows the DeviceName level, with its leading slash: "/user/update". */
  readonly suffix: string;
  readonly permission: TopicPermission;
}

/** [TOPIC-4] */
export const MAX_TOPIC_CLASSES = 50;

/** Slashes of a custom topic [TOPIC-6]; two of them stand before ProductKey and DeviceName. */
const MAX_SLASHES = 7;
/** Bytes of a topic [TOPIC-5], without a ProductKey and DeviceName as short as they can be. */
const MAX_SUFFIX = 128 - "/a/abcd".length;

/** Classes of a new product [TOPIC-3]. */
export const DEFAULT_CLASSES: readonly TopicClass[] = [
  { suffix: "/user/update", permission: "PUB" },
  { suffix: "/user/update/error", permission: "PUB" },
  { suffix: "/user/get", permission: "SUB" },
];

const PERMISSIONS: readonly string[] = ["PUB", "SUB", "ALL"];

/** What is wrong with a class, or undefined. */
export function checkTopicClass({ suffix, permission }: TopicClass): string | undefined {
  if (!PERMISSIONS.includes(permission)) return `permission "${permission}": use PUB, SUB or ALL`;
  if (!suffix.startsWith("/")) return `suffix "${suffix}" begins with no slash`;
  const levels = suffix.slice(1).split("/");
  if (levels.length + 2 > MAX_SLASHES) return `suffix "${suffix}": ${MAX_SLASHES - 2} levels at most`;
  if (suffix.length > MAX_SUFFIX) return `suffix "${suffix.slice(0, 40)}…": ${MAX_SUFFIX} characters at most`;
  for (const [i, level] of levels.entries()) {
    if (/^[A-Za-z0-9_]+$/.test(level)) continue; // [TOPIC-2]
    const wildcard = level === "+" || (level === "#" && i === levels.length - 1);
    if (!wildcard) return `suffix "${suffix}": a level has letters, digits and "_" only, and is not empty`;
    if (permission !== "SUB") return `suffix "${suffix}": wildcards need the permission SUB`; // [TOPIC-7]
  }
  return undefined;
}
