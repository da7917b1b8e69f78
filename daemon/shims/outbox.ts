import { readFileSync } from 'node:fs';
import { shimPaths } from '../../common/bootstrap.ts';

/**
 * Whether one of our own shims has events that we have not acknowledged, so that our rows may lag behind it. Its outbox
 * holds a line of JSON for each event and each acknowledgement.
 */
export const hasUnsentEvents = (state: string, shimKey: string): boolean => {
  try {
    const text = readFileSync(shimPaths(state, shimKey).outbox, 'utf8');
    return last(text, '{"sequence":"') > last(text, '{"ack":"');
  } catch {
    return false; // no outbox: it was never bound
  }
};

const last = (text: string, start: string): bigint => {
  const at = text.lastIndexOf(start);
  const digits = at < 0 ? undefined : /^\d+/.exec(text.slice(at + start.length, at + start.length + 20))?.[0];
  return BigInt(digits ?? 0);
};
