import type { Logger } from 'pino';
import { messageOf } from '../../common/errdefs.ts';
import { nowNanos } from '../../native/index.ts';
import type { EventLog } from './log.ts';

/** How often the log is looked at, milliseconds. */
const INTERVAL_MS = 60_000;

/** Rows that one transaction removes: short enough for nobody to notice. */
const BATCH = 500;

const NANOS_PER_MS = 1_000_000n;

/** Keeps the event log within its limits, a little at a time. */
export const keepTrimmed = (
  events: EventLog,
  { ageMsMax, countMax }: { readonly ageMsMax: number; readonly countMax: number },
  log: Logger,
): { close(): void } => {
  let timer: NodeJS.Timeout;
  const again = (ms: number): void => void (timer = setTimeout(trim, ms).unref());
  const trim = (): void => {
    try {
      const beforeNanos = nowNanos() - BigInt(ageMsMax) * NANOS_PER_MS;
      again(events.trim({ beforeNanos, countMax, batch: BATCH }) ? 0 : INTERVAL_MS);
    } catch (error) {
      log.error({ err: messageOf(error) }, 'the event log was not trimmed');
      again(INTERVAL_MS);
    }
  };
  again(INTERVAL_MS);
  return { close: () => clearTimeout(timer) };
};
