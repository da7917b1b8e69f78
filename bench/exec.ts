import { alternate, type Benchmark, startMany } from './sides.ts';

export const exec: Benchmark = {
  name: 'exec',
  about: 'ctr tasks exec of a program that does nothing, in one running container',
  unit: 'ms',
  pairs: 30,
  goal: { ratio: 1.3 },
  async measure(sides, pairs) {
    await Promise.all([startMany(sides.ours, 1), startMany(sides.theirs, 1)]);
    return alternate(sides, pairs, async (side, round) => {
      const words = ['tasks', 'exec', '--exec-id', `e${round}`, 'c0', '/bin/true'];
      const { status, ms, stderr } = await side.daemon.ctr.run(words);
      if (status !== 0) throw new Error(`${side.daemon.name}: ${stderr}`);
      return ms;
    });
  },
};
