import { alternate, type Benchmark, runWords } from './sides.ts';

export const run: Benchmark = {
  name: 'run',
  about: 'ctr run --rm of a program that does nothing',
  unit: 'ms',
  pairs: 30,
  goal: { ratio: 1.3 },
  measure: (sides, pairs) =>
    alternate(sides, pairs, async (side, round) => {
      const { status, ms, stderr } = await side.daemon.ctr.run(runWords(side, ['--rm'], `r${round}`, '/bin/true'));
      if (status !== 0) throw new Error(`${side.daemon.name}: ${stderr}`);
      return ms;
    }),
};
