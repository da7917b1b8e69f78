import { unpackAny } from '../common/any.ts';
import { TaskExit } from '../proto/gen/containerd/events/event_payloads.ts';
import { EventsDefinition } from '../proto/gen/containerd/services/events/v1/events.ts';
import { TasksDefinition } from '../proto/gen/containerd/services/tasks/v1/tasks.ts';
import type { Envelope } from '../proto/gen/containerd/types/types.ts';
import { within } from '../test/harness/wait.ts';
import { alternate, type Benchmark, runWords, type Side } from './sides.ts';

/** An event that takes longer has been lost, ms. */
const EVENT_MS_MAX = 10_000;

export const exitEvent: Benchmark = {
  name: 'exit-event',
  about: "from the end of a container's process to its exit event at a subscriber",
  unit: 'ms',
  pairs: 20,
  goal: { median: 20 },
  async measure(sides, pairs) {
    const subscribers = { ours: subscribe(sides.ours), theirs: subscribe(sides.theirs) };
    try {
      return await alternate(sides, pairs, async (side, round) => {
        const id = `e${round}`;
        await side.daemon.ctr.ok(...runWords(side, ['-d', '--null-io'], id, '/bin/sleep', '100000'));
        const subscriber = side === sides.ours ? subscribers.ours : subscribers.theirs;
        const pid = await subscriber.pidOf(id);
        const exit = subscriber.exitOf(id);
        const began = performance.now();
        process.kill(pid, 'SIGKILL');
        const ms = (await within(EVENT_MS_MAX, `the exit event of ${id} of ${side.daemon.name}`, exit)) - began;
        await side.daemon.ctr.removeAll();
        return ms;
      });
    } finally {
      subscribers.ours.close();
      subscribers.theirs.close();
    }
  },
};

interface Subscriber {
  pidOf(id: string): Promise<number>;
  /** When the event came, by performance.now(). */
  exitOf(id: string): Promise<number>;
  close(): void;
}

const subscribe = ({ daemon }: Side): Subscriber => {
  const client = daemon.client();
  const waiting = new Map<string, (at: number) => void>();
  const stream = client.service(EventsDefinition).subscribe({ filters: ['topic=="/tasks/exit"'] });
  stream.on('data', ({ event }: Envelope) => {
    const at = performance.now();
    const exit = unpackAny(event, 'containerd.events.TaskExit', TaskExit);
    waiting.get(exit?.containerId ?? '')?.(at);
  });
  stream.on('error', () => undefined); // what does not come is missed
  return {
    pidOf: async (id) => {
      const { process } = await client.service(TasksDefinition).get({ containerId: id });
      if (process === undefined || process.pid <= 1) throw new Error(`${daemon.name}: no process of ${id}`);
      return process.pid;
    },
    exitOf: (id) => new Promise((resolve) => waiting.set(id, resolve)),
    close: () => {
      stream.cancel();
      client.close();
    },
  };
};
