import type { Database } from '../database.ts';
import type { TaskKey } from './tasks.ts';

/** What was begun: create is undone after a crash, delete is finished. */
export type IntentVerb = 'create' | 'delete';

export interface Intent extends TaskKey {
  readonly verb: IntentVerb;
  /** Nanoseconds since 1970. */
  readonly begunAt: bigint;
}

/** Methods that write are called inside a transaction. */
export interface IntentTable {
  list(): Intent[];
  /** Before the first side effect. Replaces an earlier one of that task. */
  record(intent: Intent): void;
  /** After the last. */
  clear(key: TaskKey): void;
}

export const intentTable = ({ sql }: Database): IntentTable => {
  const list = sql.prepare<[], Intent>(
    'SELECT namespace, id, verb, begun_at AS begunAt FROM intents ORDER BY begun_at',
  );
  const record = sql.prepare<[object]>('INSERT OR REPLACE INTO intents VALUES (:namespace, :id, :verb, :begunAt)');
  const clear = sql.prepare<[string, string]>('DELETE FROM intents WHERE namespace = ? AND id = ?');
  return {
    list: () => list.all(),
    record: ({ namespace, id, verb, begunAt }) => void record.run({ namespace, id, verb, begunAt }),
    clear: ({ namespace, id }) => void clear.run(namespace, id),
  };
};
