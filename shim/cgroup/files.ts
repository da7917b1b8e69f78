import { type Dirent, readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Stands for `max`. Source: containerd's cgroups library. */
export const UNLIMITED = 2n ** 64n - 1n;

/** The text of a control file; undefined if it is not there: kernels and controllers differ in what they have. */
export const readControl = (directory: string, name: string): string | undefined => {
  try {
    return readFileSync(join(directory, name), 'utf8');
  } catch {
    return undefined;
  }
};

/**
 * As `readControl`, for a file that the kernel adds up over all processors and all cgroups below, which on a large
 * machine takes long. The others do not: a thread for each would cost four times what reading them does.
 */
export const readSum = (directory: string, name: string): Promise<string | undefined> =>
  readFile(join(directory, name), 'utf8').catch(() => undefined);

/** A file of one number; what is not there counts as 0. */
export const readNumber = (directory: string, name: string): bigint => numberOf(readControl(directory, name)?.trim());

/** A file of lines `key number`. */
export const readPairs = (directory: string, name: string): ReadonlyMap<string, bigint> =>
  pairsOf(readControl(directory, name));

export const pairsOf = (text: string | undefined): ReadonlyMap<string, bigint> =>
  new Map(
    linesOf(text).map((line) => {
      const [key = '', value] = line.split(/\s+/);
      return [key, numberOf(value)] as const;
    }),
  );

export const linesOf = (text: string | undefined): string[] => (text ?? '').split('\n').filter((line) => line !== '');

export const numberOf = (text: string | undefined): bigint => {
  if (text === 'max') return UNLIMITED;
  return text !== undefined && /^\d+$/.test(text) ? BigInt(text) : 0n;
};

/** The page sizes that a directory has hugetlb files of, such as `2MB`. */
export const hugePageSizes = (directory: string, ending: string): string[] => {
  const found = listing(directory).map(({ name }) => /^hugetlb\.(\d+[KMG]B)\.(.+)$/.exec(name));
  return found.flatMap((match) => (match?.[1] !== undefined && match[2] === ending ? [match[1]] : [])).sort();
};

/** `rdma.current` and `rdma.max`: `mlx4_0 hca_handle=2 hca_object=max`. */
export const readRdma = (directory: string, name: string) =>
  linesOf(readControl(directory, name)).map((line) => {
    const [device = '', ...pairs] = line.split(' ');
    const values = new Map(pairs.map((pair) => pair.split('=', 2) as [string, string]));
    const count = (key: string): number => Number(BigInt.asUintN(32, numberOf(values.get(key))));
    return { device, hcaHandles: count('hca_handle'), hcaObjects: count('hca_object') };
  });

/** The cgroups directly below one. */
export const childGroups = (directory: string): string[] =>
  listing(directory)
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(directory, name));

const listing = (directory: string): Dirent[] => {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
};
