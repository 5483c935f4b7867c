// Text of strangers on a terminal: a topic, or a name out of a file, may hold what moves the cursor or changes colours.

/** C0 without line feed and tab, DEL, and C1, which begins such sequences too. */
const CONTROL = /(?![\n\t])\p{Cc}/gu;

/** Control characters as they stand in JSON; lines stay lines. */
export function printable(text: string): string {
  return text.replace(CONTROL, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
