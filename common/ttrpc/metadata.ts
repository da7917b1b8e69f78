import type { KeyValue } from '../../proto/gen/ttrpc/ttrpc.ts';

/** What travels beside a request. A key may have several values; keys are case-sensitive here, lower case by custom. */
export type Metadata = Map<string, string[]>;
export type ReadonlyMetadata = ReadonlyMap<string, readonly string[]>;

/** A Map, never an object: `__proto__` is a key like any other. */
export const decodeMetadata = (pairs: readonly KeyValue[]): Metadata => {
  const metadata: Metadata = new Map();
  for (const { key, value } of pairs) {
    const values = metadata.get(key);
    if (values === undefined) metadata.set(key, [value]);
    else values.push(value);
  }
  return metadata;
};

export const encodeMetadata = (metadata: ReadonlyMetadata | undefined): KeyValue[] =>
  metadata === undefined ? [] : [...metadata].flatMap(([key, values]) => values.map((value) => ({ key, value })));
