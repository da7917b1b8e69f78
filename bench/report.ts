import type { Benchmark, Figures } from './sides.ts';

interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export interface Report {
  readonly name: string;
  readonly about: string;
  readonly unit: string;
  readonly pairs: number;
  readonly containerd: Summary;
  readonly holdfast: Summary;
  /** Median of ours over the median of theirs. */
  readonly ratio: number;
  readonly goal: Benchmark['goal'];
  readonly reached: boolean;
}

export const summarize = ({ name, about, unit, goal }: Benchmark, pairs: number, figures: Figures): Report => {
  const [containerd, holdfast] = [summary(figures.theirs), summary(figures.ours)];
  const ratio = round(holdfast.median / containerd.median, 2);
  const reached = 'ratio' in goal ? ratio <= goal.ratio : holdfast.median <= goal.median;
  return { name, about, unit, pairs, containerd, holdfast, ratio, goal, reached };
};

export const asText = ({ name, about, unit, pairs, containerd, holdfast, ratio, goal, reached }: Report): string => {
  const row = (who: string, { median, min, max }: Summary): string =>
    `  ${who.padEnd(12)} median ${String(median).padStart(8)} ${unit}   (${min} to ${max})`;
  const wanted = 'ratio' in goal ? `ratio at most ${goal.ratio}` : `median at most ${goal.median} ${unit}`;
  return [
    `${name}: ${about}, ${pairs} each`,
    row('containerd', containerd),
    row('holdfast', holdfast),
    `  ratio ${ratio}; wanted: ${wanted}: ${reached ? 'reached' : 'MISSED'}`,
  ].join('\n');
};

const summary = (figures: readonly number[]): Summary => {
  const sorted = figures.toSorted((a, b) => a - b);
  return {
    median: round(middle(sorted)),
    min: round(sorted[0] ?? Number.NaN),
    max: round(sorted.at(-1) ?? Number.NaN),
  };
};

const middle = (sorted: readonly number[]): number => {
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[half - 1] ?? Number.NaN)) / 2;
};

const round = (value: number, digits = 1): number => Number(value.toFixed(digits));
