import { alternate, type Benchmark, runWords } from './sides.ts';

const COUNT = 40;

export const burst: Benchmark = {
  name: 'burst',
  about: `${COUNT} ctr run -d at once, until every container runs`,
  unit: 'ms',
  pairs: 5,
  goal: { ratio: 1.3 },
  measure: (sides, pairs) =>
    alternate(sides, pairs, async (side, round) => {
      const ids = Array.from({ length: COUNT }, (_, index) => `b${round}-${index}`);
      const began = performance.now();
      await Promise.all(
        ids.map((id) => side.daemon.ctr.ok(...runWords(side, ['-d', '--null-io'], id, '/bin/sleep', '100000'))),
      );
      const ms = performance.now() - began;
      const running = (await side.daemon.ctr.ok('tasks', 'ls')).match(/ RUNNING/g)?.length;
      if (running !== COUNT) throw new Error(`${side.daemon.name}: ${running} of ${COUNT} run`);
      await side.daemon.ctr.removeAll();
      return ms;
    }),
};
