// Finds the service a topic belongs to. Patterns are few and topics of services short: compared level by level. Asked once
// per client and topic where the answer is kept, and once per message that is handed over.
import type { DeviceId } from "../names/user-name.ts";
import type { Route, Service } from "../contract/service.ts";

export interface RouteMatch {
  readonly route: Route;
  /** Whose names stand in the topic. */
  readonly device: DeviceId;
  /** What "+" and "#" stand for. */
  readonly levels: readonly string[];
}

interface Compiled {
  readonly route: Route;
  readonly levels: readonly string[];
}

export class RouteTable {
  /** By first level behind the leading slash: "sys", "ext", "shadow", … */
  readonly #byFirst = new Map<string, Compiled[]>();

  constructor(services: readonly Service[]) {
    for (const service of services) for (const route of service.routes) this.#add(route);
  }

  #add(route: Route): void {
    const levels = route.pattern.split("/");
    const first = levels[1];
    if (levels[0] !== "" || first === undefined || /[{+#]/.test(first))
      throw new TypeError(`route "${route.pattern}" does not begin with a name: "/sys/{pk}/{dn}/…"`);
    if (!levels.includes("{pk}") || !levels.includes("{dn}"))
      throw new TypeError(`route "${route.pattern}" names no device: "{pk}" and "{dn}" are missing`);
    const list = this.#byFirst.get(first);
    if (list === undefined) this.#byFirst.set(first, [{ route, levels }]);
    else list.push({ route, levels });
  }

  find(topic: string): RouteMatch | undefined {
    if (topic.charCodeAt(0) !== 0x2f) return undefined;
    const end = topic.indexOf("/", 1);
    const candidates = this.#byFirst.get(end < 0 ? topic.slice(1) : topic.slice(1, end));
    if (candidates === undefined) return undefined;
    const levels = topic.split("/");
    for (const { route, levels: pattern } of candidates) {
      const found = match(pattern, levels);
      if (found !== undefined) return { route, ...found };
    }
    return undefined;
  }
}

function match(
  pattern: readonly string[],
  topic: readonly string[],
): { device: DeviceId; levels: readonly string[] } | undefined {
  const rest = pattern.at(-1) === "#";
  if (rest ? topic.length < pattern.length : topic.length !== pattern.length) return undefined;
  let productKey = "";
  let deviceName = "";
  const levels: string[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const wanted = pattern[i];
    const level = topic[i];
    if (wanted === "#") {
      levels.push(topic.slice(i).join("/"));
      break;
    }
    if (wanted === "{pk}") productKey = level;
    else if (wanted === "{dn}") deviceName = level;
    else if (wanted === "+") levels.push(level);
    else if (wanted !== level) return undefined;
  }
  return { device: { productKey, deviceName }, levels };
}
