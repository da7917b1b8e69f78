import { ContainersDefinition } from '../proto/gen/containerd/services/containers/v1/containers.ts';
import { TasksDefinition } from '../proto/gen/containerd/services/tasks/v1/tasks.ts';
import { VersionDefinition } from '../proto/gen/containerd/services/version/v1/version.ts';
import type { RawClient } from '../test/harness/grpc.ts';
import { alternate, type Benchmark, startMany } from './sides.ts';

/** Calls of one measurement. */
const CALLS = 1_000;
const IN_FLIGHT = [1, 16];

/** By name, each on the container that `startMany` makes first. */
const calls: readonly (readonly [name: string, make: (client: RawClient) => () => Promise<unknown>])[] = [
  ['Version', (client) => () => client.service(VersionDefinition).version({})],
  ['Containers.Get', (client) => () => client.service(ContainersDefinition).get({ id: 'c0' })],
  ['Tasks.Get', (client) => () => client.service(TasksDefinition).get({ containerId: 'c0' })],
];

/** Each with the client of the tests on one connection: its own share of the time is the same on both sides. */
export const rpc: readonly Benchmark[] = calls.flatMap(([name, make]) =>
  IN_FLIGHT.map((inFlight) => ({
    name: 'rpc',
    about: `${name}, ${inFlight} in flight: the time for one of ${CALLS} calls`,
    unit: 'µs',
    pairs: 20,
    goal: { ratio: 2 },
    async measure(sides, pairs) {
      await Promise.all([startMany(sides.ours, 1), startMany(sides.theirs, 1)]);
      const clients = { ours: sides.ours.daemon.client(), theirs: sides.theirs.daemon.client() };
      try {
        return await alternate(sides, pairs, async (side) => {
          const call = make(side === sides.ours ? clients.ours : clients.theirs);
          let left = CALLS;
          const caller = async (): Promise<void> => {
            while ((left -= 1) >= 0) await call();
          };
          const began = performance.now();
          await Promise.all(Array.from({ length: inFlight }, caller));
          return ((performance.now() - began) * 1000) / CALLS;
        });
      } finally {
        clients.ours.close();
        clients.theirs.close();
      }
    },
  })),
);
