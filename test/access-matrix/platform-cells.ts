// The topics of the platform's matrix, and who may publish and subscribe them. A topic is written with the names of the device it
// is about; "consumed" ones end at a service and reach no subscriber. Who speaks is in platform-speakers.ts.
import { PK } from "../platform/signed-device.ts";

export const OTHER = "a1OTHER00001";
/** Whom nobody here may speak for, and to whom nothing may get. */
export const FOREIGN = "foreign1";

export interface Topic {
  readonly about: string;
  readonly of: (productKey: string, deviceName: string) => string;
  readonly publish: boolean | "consumed";
  readonly subscribe: boolean;
  /** Open to devices of products with free topics [TOPIC-10]. */
  readonly free?: boolean;
}

const own = (about: string, suffix: string, publish: Topic["publish"], subscribe: boolean): Topic => ({
  about,
  of: (pk, dn) => suffix.replace("{own}", `${pk}/${dn}`),
  publish,
  subscribe,
});
const closed = (about: string, topic: string): Topic => ({
  about,
  of: () => topic,
  publish: false,
  subscribe: false,
});

export const TOPICS: readonly Topic[] = [
  own("own, PUB", "/{own}/user/update", true, false),
  own("own, SUB", "/{own}/user/get", false, true),
  own("own, ALL", "/{own}/user/both", true, true),
  own("own, no class", "/{own}/user/none", false, false),
  own("own, without user/", "/{own}/both", false, false),
  own("thing", "/sys/{own}/thing/anything", true, true),
  own("call", "/sys/{own}/rrpc/request/1", false, true),
  own("answer to a call", "/sys/{own}/rrpc/response/1", "consumed", false),
  own("call on a custom topic", "/ext/rrpc/1/{own}/user/both", "consumed", true),
  own("time, request", "/ext/ntp/{own}/request", "consumed", false),
  own("time, response", "/ext/ntp/{own}/response", false, true),
  own("shadow, update", "/shadow/update/{own}", "consumed", false),
  own("shadow, get", "/shadow/get/{own}", false, true),
  own("firmware, upgrade", "/ota/device/upgrade/{own}", false, true),
  own("session, reply", "/ext/session/{own}/combine/login_reply", false, true),
  own("gateway's errors", "/ext/error/{own}", false, true),
  own("broadcast to one", "/sys/{own}/broadcast/request/1", false, true),
  closed("another device's, ALL", `/${PK}/${FOREIGN}/user/both`),
  closed("another device's shadow", `/shadow/get/${PK}/${FOREIGN}`),
  closed("another device's things", `/sys/${PK}/${FOREIGN}/thing/anything`),
  closed("another product's", `/${OTHER}/${FOREIGN}/user/both`),
  closed("another product's broadcasts", `/broadcast/${OTHER}/news`),
  closed("push only", "/ext/register"),
  { ...closed("free", "free/topic"), free: true },
  { ...closed("free, as a level like a product's", "/free"), free: true },
  closed("the broker's own", "$SYS/anything"),
];
