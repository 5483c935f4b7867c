// The mix of Topic Filters and Topic Names that the matcher is measured with: what devices of an IoT platform
// subscribe to, a little of everything else. Seeded: every run, and every matcher, sees the same.

const TOPICS = 200_000;
const KNOWN = 0.9; // share of topics of devices that exist

/** A small generator of pseudo-random numbers in [0, 1) (mulberry32). */
export function seeded(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const FILTERS_PER_DEVICE = 5;
const EXACT = [
  "user/get",
  "user/update",
  "user/update/error",
  "thing/event/property/post",
  "thing/event/property/post_reply",
  "thing/service/property/set",
  "ota/device/upgrade",
  "shadow/get",
];

/** `count` different filters, and 200,000 topics to match. */
export function makeMix(count) {
  const random = seeded(20);
  const pick = (list) => list[Math.floor(random() * list.length)];
  const devices = Math.ceil(count / FILTERS_PER_DEVICE);
  const products = Math.max(2, Math.ceil(devices / 1000));
  const product = (device) => `pk${(device % products).toString(36)}`;
  const name = (device) => `device-${device.toString(36)}`;
  const anyDevice = () => Math.floor(random() * devices);

  const filters = new Set();
  while (filters.size < count) {
    const device = anyDevice();
    const base = `/${product(device)}/${name(device)}`;
    const share = random();
    if (share < 0.7) filters.add(`${base}/${pick(EXACT)}`);
    else if (share < 0.82) filters.add(`${base}/+/update`);
    else if (share < 0.94) filters.add(`${base}/#`);
    else if (share < 0.98) filters.add(`/+/${name(device)}/user/update`);
    else filters.add(`/${product(device)}/+/${pick(["user", "thing"])}/${name(device)}`);
  }
  const topics = Array.from({ length: TOPICS }, () => {
    const device = random() < KNOWN ? anyDevice() : devices + anyDevice();
    return `/${product(device)}/${name(device)}/${pick(EXACT)}`;
  });
  return { filters: [...filters], topics };
}
