// What the codec adds to the exports of the core.
export { decodePacket } from "./decode";
export { headerPtr } from "./header";
export { parseRun, runPtr } from "./run";
export { validateUtf8, validateUtf8Payload } from "./utf8";
export { setPropertyLimit } from "./properties";
