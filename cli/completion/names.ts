import { constants } from 'node:os';
import { connect, type ConnectOptions } from '../../client/connect.ts';

/** What there is to name. */
export interface Names {
  namespaces(): Promise<readonly string[]>;
  containers(): Promise<readonly { readonly id: string; readonly state: string; readonly description: string }[]>;
  signals(): readonly string[];
}

/** Nobody waits longer for a hint, milliseconds. */
const PATIENCE_MS = 2_000;

/** Of the daemon that answers there. One that does not has no names; that is no error of who presses a key. */
export const daemonNames = (options: ConnectOptions): Names => ({
  signals: () => Object.keys(constants.signals).map((name) => name.replace(/^SIG/, '')),
  namespaces: () =>
    ask(options, async (client, signal) => (await client.namespaces.list(signal)).map(({ name }) => name)),
  containers: () =>
    ask(options, async (client, signal) => {
      const states = new Map((await client.tasks.list(signal)).map(({ id, state }) => [id, state]));
      const containers = [];
      for await (const { id, image, spec } of client.containers.list([], signal)) {
        const state = states.get(id) ?? 'none';
        containers.push({ id, state, description: image === '' ? (spec?.process?.args.join(' ') ?? '') : image });
      }
      return containers;
    }),
});

const ask = async <T>(
  options: ConnectOptions,
  question: (client: ReturnType<typeof connect>, signal: AbortSignal) => Promise<readonly T[]>,
): Promise<readonly T[]> => {
  try {
    await using client = connect(options);
    return await question(client, AbortSignal.timeout(PATIENCE_MS));
  } catch {
    return [];
  }
};
