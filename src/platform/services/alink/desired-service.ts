// Devices ask what is wanted of them, and say what they have dealt with: thing/property/desired/get and delete.
import { isObject, own } from "../../shared/json.ts";
import type { Route, Service } from "../../contract/service.ts";
import type { AlinkCall, AlinkDesk, AlinkOutcome } from "./alink-desk.ts";
import type { DesiredProperties } from "../thing-model/desired-properties.ts";

export function desiredService(desk: AlinkDesk, desired: DesiredProperties): Service {
  const routes: readonly Route[] = [
    desk.route(
      "thing/property/desired/get",
      ({ message, request: { params = [] } }: AlinkCall): AlinkOutcome => {
        if (!Array.isArray(params) || !params.every((id) => typeof id === "string")) return { code: 460 };
        return { code: 200, data: desired.get(message.device, params.length === 0 ? undefined : params) };
      },
    ),
    desk.route("thing/property/desired/delete", async ({ message, request: { params } }: AlinkCall) => {
      if (!isObject(params)) return { code: 460 };
      const versions = new Map<string, number | undefined>();
      for (const [id, which] of Object.entries(params)) {
        const version = isObject(which) ? own(which, "version") : undefined;
        if (version !== undefined && typeof version !== "number") return { code: 460 };
        versions.set(id, version);
      }
      await desired.delete(message.device, versions);
      return { code: 200 };
    }),
  ];
  return { routes };
}
