// Answers of foreign code: a value now, or anything with a `then` later. What comes out is a value or a real Promise.

/** True for whatever can be awaited, not only for this realm's Promise. */
export function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

/** The value itself where it is there; a Promise of it where it is not. */
export function settle<T>(value: T | PromiseLike<T>): T | Promise<T> {
  if (!isThenable(value)) return value;
  return value instanceof Promise ? value : Promise.resolve(value);
}
