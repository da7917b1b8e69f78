import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { packAny } from '../../common/any.ts';
import { openEventLog, type EventLog } from '../../daemon/events/log.ts';
import { type Database, openDatabase } from '../../daemon/store/database.ts';
import { TaskCreate, TaskExit, TaskOOM, TaskStart } from '../../proto/gen/containerd/events/event_payloads.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';

export const silent = pino({ level: 'silent' });

/** A real database in a folder of its own, removed with it. */
export interface TestStore extends AsyncDisposable {
  readonly path: string;
  readonly db: Database;
  readonly events: EventLog;
}

export const testStore = async (): Promise<TestStore> => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-store-'));
  const path = join(folder, 'metadata.db');
  const db = await openDatabase(path, silent);
  return {
    path,
    db,
    events: openEventLog(db),
    [Symbol.asyncDispose]: async () => {
      await db.close();
      rmSync(folder, { recursive: true });
    },
  };
};

export const oom = (containerId: string): Any => packAny('containerd.events.TaskOOM', TaskOOM, { containerId });

export const exit = (containerId: string, id = containerId, pid = 42): Any =>
  packAny('containerd.events.TaskExit', TaskExit, { containerId, id, pid, exitStatus: 7, exitedAt: undefined });

export const start = (containerId: string): Any =>
  packAny('containerd.events.TaskStart', TaskStart, { containerId, pid: 42 });

export const create = (containerId: string): Any =>
  packAny('containerd.events.TaskCreate', TaskCreate, TaskCreate.fromPartial({ containerId }));

/** Appends events as one writer would, each in a transaction of its own, and waits until they are published. */
export const publish = async (
  { db, events }: Pick<TestStore, 'db' | 'events'>,
  ...made: readonly { readonly topic: string; readonly payload: Any; readonly namespace?: string }[]
): Promise<void> => {
  for (const { topic, payload, namespace = 'moby' } of made) {
    db.transaction(() => events.append({ namespace, topic, payload, timestampNanos: 1n }));
  }
  await events.publish();
};
