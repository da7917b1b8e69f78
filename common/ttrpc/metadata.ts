import type { KeyValue } from '../../proto/gen/ttrpc/ttrpc.ts';
import { resourceExhausted } from '../errdefs.ts';

/** What travels beside a request. A key may have several values; keys are case-sensitive here, lower case by custom. */
export type Metadata = Map<string, string[]>;
export type ReadonlyMetadata = ReadonlyMap<string, readonly string[]>;

/** Pairs of one request, and the length of all their keys and values, UTF-16 units. More is ResourceExhausted. */
export const METADATA_PAIRS_MAX = 1024;
export const METADATA_LENGTH_MAX = 64 << 10;

/** A Map, never an object: `__proto__` is a key like any other. */
export const decodeMetadata = (pairs: readonly KeyValue[]): Metadata => {
  checkMetadata(pairs);
  const metadata: Metadata = new Map();
  for (const { key, value } of pairs) {
    const values = metadata.get(key);
    if (values === undefined) metadata.set(key, [value]);
    else values.push(value);
  }
  return metadata;
};

export const encodeMetadata = (metadata: ReadonlyMetadata | undefined): KeyValue[] => {
  if (metadata === undefined) return [];
  const pairs = [...metadata].flatMap(([key, values]) => values.map((value) => ({ key, value })));
  checkMetadata(pairs);
  return pairs;
};

const checkMetadata = (pairs: readonly KeyValue[]): void => {
  if (pairs.length > METADATA_PAIRS_MAX) {
    throw resourceExhausted(`${pairs.length} pairs of metadata, more than ${METADATA_PAIRS_MAX}`);
  }
  let length = 0;
  for (const { key, value } of pairs) length += key.length + value.length;
  if (length > METADATA_LENGTH_MAX) {
    throw resourceExhausted(`metadata of length ${length}, more than ${METADATA_LENGTH_MAX}`);
  }
};
