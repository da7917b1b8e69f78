import type { Client } from '../client/connect.ts';
import { explain } from './failure.ts';
import { print } from './print.ts';
import { explainUnknown } from './unknown-container.ts';

/**
 * Does something to each of several containers and prints the ids of those where it worked, or what `act` gives
 * instead. One that fails is told of at once and does not stop the others; gives the exit status, 1 then.
 */
export const each = async (
  client: Client,
  ids: readonly string[],
  act: (id: string) => Promise<string | void>,
): Promise<number> => {
  let status = 0;
  for (const id of ids) {
    try {
      await print(`${(await act(id)) ?? id}\n`);
    } catch (error) {
      const failed = explain(await explainUnknown(client, error), undefined);
      process.stderr.write(`holdfast: ${failed.words}\n`);
      ({ status } = failed);
    }
  }
  return status;
};
