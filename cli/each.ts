import { explain } from './failure.ts';
import { print } from './print.ts';

/**
 * Does something to each of several containers and prints the ids of those where it worked. One that fails is told of
 * at once and does not stop the others; gives the exit status, 1 then.
 */
export const each = async (ids: readonly string[], act: (id: string) => Promise<void>): Promise<number> => {
  let status = 0;
  for (const id of ids) {
    try {
      await act(id);
      await print(`${id}\n`);
    } catch (error) {
      const failed = explain(error, undefined);
      process.stderr.write(`holdfast: ${failed.words}\n`);
      ({ status } = failed);
    }
  }
  return status;
};
