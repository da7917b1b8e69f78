import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { alternate, type Benchmark, type Side, startMany } from './sides.ts';

const COUNT = 30;

export const restart: Benchmark = {
  name: 'restart',
  about: `kill -9 of the daemon with ${COUNT} running containers, from its start until ctr tasks ls lists them all`,
  unit: 'ms',
  pairs: 5,
  goal: { ratio: 2 },
  async measure(sides, pairs) {
    await startMany(sides.theirs, COUNT);
    await startMany(sides.ours, COUNT);
    return alternate(sides, pairs, async (side) => {
      await side.daemon.kill9();
      const began = performance.now();
      side.daemon.spawn();
      while (!(await listsAll(side))) await sleep(2);
      const ms = performance.now() - began;
      await side.daemon.ready();
      return ms;
    });
  },
};

/** ctr would wait for a second before it tried a closed door again, so it is called when the door is open. */
const listsAll = async (side: Side): Promise<boolean> => {
  if (!(await isListening(side.daemon.address))) return false;
  const { status, stdout } = await side.daemon.ctr.run(['tasks', 'ls']);
  return status === 0 && stdout.match(/ RUNNING/g)?.length === COUNT;
};

const isListening = (path: string): Promise<boolean> => {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
};
