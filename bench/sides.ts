import { startContainerd } from '../test/harness/containerd.ts';
import type { Daemon } from '../test/harness/daemon.ts';
import { makeRootfs } from '../test/harness/rootfs.ts';
import { startSubject } from '../test/harness/subject.ts';
import { Bed } from '../test/harness/temp.ts';

/** One of the two daemons that are measured. */
export interface Side {
  readonly daemon: Daemon;
  readonly rootfs: string;
}

export interface Sides {
  readonly ours: Side;
  readonly theirs: Side;
}

/** What each side came to, one figure a measurement, in the benchmark's unit; more is worse. */
export interface Figures {
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
}

export interface Benchmark {
  /** Several may have one name: they are measured together. */
  readonly name: string;
  /** One line for the reader of `--help`. */
  readonly about: string;
  readonly unit: 'ms' | 'µs' | 'kB';
  /** How often each side is measured unless the caller says otherwise. */
  readonly pairs: number;
  /** What the project wants to reach: a ratio to containerd, or a median of ours in the unit. */
  readonly goal: { readonly ratio: number } | { readonly median: number };
  measure(sides: Sides, pairs: number): Promise<Figures>;
}

/** Starts both daemons with everything of their own, and takes them away afterwards. */
export const withSides = async <T>(measure: (sides: Sides) => Promise<T>): Promise<T> => {
  const bed = new Bed();
  try {
    const side = (daemon: Daemon): Side => ({ daemon, rootfs: makeRootfs(bed.path(daemon.name, 'rootfs')) });
    return await measure({ theirs: side(await startContainerd(bed)), ours: side(await startSubject(bed)) });
  } finally {
    await bed.remove();
  }
};

/**
 * Measures the two in turn, the other one first every second time, so that neither profits from what the machine was
 * doing. One round before that is not counted: caches fill, programs are loaded.
 */
export const alternate = async (
  { ours, theirs }: Sides,
  pairs: number,
  measure: (side: Side, round: number) => Promise<number>,
): Promise<Figures> => {
  const figures = { ours: [] as number[], theirs: [] as number[] };
  for (let round = 0; round <= pairs; round += 1) {
    const order = round % 2 === 0 ? (['theirs', 'ours'] as const) : (['ours', 'theirs'] as const);
    for (const name of order) {
      const figure = await measure(name === 'ours' ? ours : theirs, round);
      if (round > 0) figures[name].push(figure);
    }
  }
  return figures;
};

/** The arguments of `ctr run` for a side. */
export const runWords = (side: Side, flags: readonly string[], id: string, ...command: readonly string[]): string[] => [
  'run',
  ...flags,
  '--rootfs',
  side.rootfs,
  id,
  ...command,
];

/** Starts `count` containers that stay, a few at a time. */
export const startMany = async (side: Side, count: number): Promise<void> => {
  const AT_ONCE = 5;
  for (let first = 0; first < count; first += AT_ONCE) {
    const ids = Array.from({ length: Math.min(AT_ONCE, count - first) }, (_, index) => `c${first + index}`);
    await Promise.all(ids.map((id) => side.daemon.ctr.ok(...runWords(side, STAY, id, '/bin/sleep', '100000'))));
  }
};

const STAY = ['-d', '--null-io'];
