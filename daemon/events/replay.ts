import { readAny } from '../../common/any.ts';
import { selectorsOf } from '../../common/filters.ts';
import { nowNanos } from '../../native/index.ts';
import { TaskExit, TaskOOM } from '../../proto/gen/containerd/events/event_payloads.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import type { Database } from '../store/database.ts';

/**
 * Docker subscribes with a filter that names a namespace and `/tasks`, and after a lost connection it subscribes again
 * without asking what it missed: a container that ended meanwhile would run for ever in its eyes. So for each such
 * filter a cursor remembers how far its streams were served, and the next one first gets the exits and OOMs behind it.
 *
 * Those only, and only of processes that are not deleted yet: dockerd takes a repeated start for a running container,
 * and an exit that it has dealt with for another death. For the same reason a dockerd that was started after the event
 * does not get it (subscribe.ts).
 */
export interface ReplayCursor {
  /** The last sequence that was written to such a stream. */
  readonly sequence: bigint;
  advance(sequence: bigint): void;
}

export interface ReplayCursors {
  /** The cursor of these filters, made at `tail` if it is new; undefined if they are not of Docker's kind. */
  open(filters: readonly string[], tail: bigint): ReplayCursor | undefined;
}

/** Cursors kept. Anybody can make up filters; those not used for longest go first. */
const CURSORS_MAX = 256;

export const replayCursors = (db: Database): ReplayCursors => {
  const statements = prepare(db);
  return {
    open: (filters, tail) => {
      if (!isDockerLike(filters)) return undefined;
      const key = JSON.stringify([...filters].sort());
      statements.open.run(key, tail, nowNanos());
      statements.trim.run(CURSORS_MAX);
      return {
        get sequence() {
          return statements.get.get(key) ?? tail;
        },
        advance: (sequence) => void statements.advance.run(sequence, key),
      };
    },
  };
};

/** Every filter names one namespace, and a topic below `/tasks`. */
const isDockerLike = (filters: readonly string[]): boolean =>
  filters.length > 0 &&
  filters.every((filter) => {
    const selectors = selectorsOf(filter);
    const names = (field: string) => selectors.filter(({ path }) => path.length === 1 && path[0] === field);
    return (
      names('namespace').some(({ operator }) => operator === '==') &&
      names('topic').some(
        ({ operator, value }) => (operator === '==' || operator === '~=') && /^\^?\/tasks\b/.test(value),
      )
    );
  });

/** The process that an exit or an OOM is about. An OOM is the container's, so its init's: exec id ''. */
export const endedProcess = (
  topic: string,
  payload: Any | undefined,
): { readonly containerId: string; readonly execId: string } | undefined => {
  if (topic === '/tasks/oom') {
    const oom = readAny(payload, 'containerd.events.TaskOOM', TaskOOM);
    return oom === undefined ? undefined : { containerId: oom.containerId, execId: '' };
  }
  if (topic !== '/tasks/exit') return undefined;
  const exit = readAny(payload, 'containerd.events.TaskExit', TaskExit);
  // Pid 0 is no process of a container: dockerd would take it for one that ended, and restart it.
  if (exit === undefined || exit.pid === 0) return undefined;
  return { containerId: exit.containerId, execId: exit.id === exit.containerId ? '' : exit.id };
};

const prepare = ({ sql }: Database) => ({
  open: sql.prepare<[string, bigint, bigint]>(
    `INSERT INTO event_cursors (filters, sequence, used_at) VALUES (?, ?, ?)
     ON CONFLICT (filters) DO UPDATE SET used_at = excluded.used_at`,
  ),
  get: sql.prepare<[string], bigint>('SELECT sequence FROM event_cursors WHERE filters = ?').pluck(),
  advance: sql.prepare<[bigint, string]>('UPDATE event_cursors SET sequence = max(sequence, ?) WHERE filters = ?'),
  trim: sql.prepare<[number]>(
    `DELETE FROM event_cursors WHERE filters IN (
       SELECT filters FROM event_cursors ORDER BY used_at DESC LIMIT -1 OFFSET ?)`,
  ),
});
