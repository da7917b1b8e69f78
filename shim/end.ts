import type { TtrpcServer } from '../common/ttrpc/server.ts';
import type { Log } from './log.ts';
import type { Outbox } from './outbox.ts';
import type { Shim } from './shim.ts';
import { within } from './within.ts';

/** How long calls under way, the reply to Shutdown among them, may take to leave, ms. */
const REPLY_MS = 2_000;

export interface EndParts {
  readonly shim: Shim;
  readonly server: TtrpcServer;
  readonly outbox: Outbox;
  readonly log: Log;
}

/**
 * What Shutdown sets off: the process ends when there is no container and every event has been acknowledged, however
 * long the daemon is away. A container that comes meanwhile calls it off.
 */
export const endShim = (parts: EndParts): (() => void) => {
  let ending = false;
  return () => {
    if (ending) return;
    ending = true;
    void endWhenDone(parts).finally(() => {
      ending = false;
    });
  };
};

const endWhenDone = async ({ shim, server, outbox, log }: EndParts): Promise<void> => {
  while (!outbox.empty) await outbox.whenEmpty();
  if (!shim.idle) return;
  await within(REPLY_MS, server.close());
  log.info('ending', { pid: process.pid });
  outbox.close();
  shim.removeFiles();
  process.exit(0);
};
