import type { Database } from '../store/database.ts';
import type { EventLog, NewEvent } from './log.ts';

export interface ForwardParts {
  readonly db: Database;
  readonly events: EventLog;
  /**
   * Called in the transaction that appends a forwarded event, so that the state which it announces is written with it.
   * False: the event is no news (we know it otherwise); it is acknowledged and not published.
   */
  readonly absorb: (event: NewEvent) => boolean;
}

/**
 * Takes in an event that a shim (or a client) forwards. Resolves when it is on the disk: only then may the shim forget
 * it. A repeat, by (shim, sequence), is acknowledged and nothing else.
 */
export const forwardEvent = async (parts: ForwardParts, event: NewEvent): Promise<void> => {
  parts.db.transaction(() => {
    if (event.shim !== undefined && parts.events.seen(event.shim)) return;
    if (parts.absorb(event)) parts.events.append(event);
    else if (event.shim !== undefined) parts.events.passOver(event.shim);
  });
  await parts.events.publish();
};
