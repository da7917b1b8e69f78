const NANOS: Readonly<Record<string, bigint>> = {
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
};

/** Nanoseconds in `90s`, `10m`, `1h30m`, `2d`, `500ms`; undefined for what is none. */
export const parseDuration = (text: string): bigint | undefined => {
  if (!/^(\d+(ms|s|m|h|d))+$/.test(text)) return undefined;
  let nanos = 0n;
  for (const [, count = '', unit = ''] of text.matchAll(/(\d+)(ms|s|m|h|d)/g))
    nanos += BigInt(count) * (NANOS[unit] ?? 0n);
  return nanos;
};
