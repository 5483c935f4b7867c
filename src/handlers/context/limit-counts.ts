// Counts what the core refuses over a limit, under the metric of that limit.
import {
  DETAIL_ALIAS_BYTES,
  DETAIL_ALIAS_RANGE,
  DETAIL_FILTERS_MANY,
  DETAIL_PACKET_SIZE,
  DETAIL_PROPERTIES_MANY,
  DETAIL_RECEIVE_MAXIMUM,
  DETAIL_TOPIC_LEVELS,
} from "../../core/generated/abi.ts";
import type { Metrics } from "../../metrics.ts";

/** The metrics of limits.ts that the core's refusals stand for. */
const LIMIT_OF_DETAIL: ReadonlyMap<number, string> = new Map([
  [DETAIL_PACKET_SIZE, "refused.packet_size"],
  [DETAIL_RECEIVE_MAXIMUM, "refused.receive_maximum"],
  [DETAIL_ALIAS_RANGE, "refused.topic_alias"],
  [DETAIL_ALIAS_BYTES, "refused.topic_alias_bytes"],
  [DETAIL_TOPIC_LEVELS, "refused.topic_levels"],
  [DETAIL_PROPERTIES_MANY, "refused.properties"],
  [DETAIL_FILTERS_MANY, "refused.filters"],
]);

export function countLimit(metrics: Metrics, detail: number): void {
  const metric = LIMIT_OF_DETAIL.get(detail);
  if (metric !== undefined) metrics.limit(metric);
}
