/** So much garbage at least, bytes: a collection touches memory that forked shims share, some 2 MB of it. */
const GROWTH_BYTES = 4 << 20;

let usedBytes = process.memoryUsage().heapUsed;

/** Gives back what verbs have left behind, if that is worth it: a shim may be idle for years. Takes some 5 ms. */
export const collectGarbage = (): void => {
  if (process.memoryUsage().heapUsed - usedBytes < GROWTH_BYTES) return;
  collectAll();
};

/** Leaves the least memory that can be left. */
export const collectAll = (): void => {
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' }); // there with --expose-gc
  usedBytes = process.memoryUsage().heapUsed;
};
