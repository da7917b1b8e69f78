import { readFileSync } from 'node:fs';
import type { Client } from '../client/connect.ts';
import { userNames } from '../client/spec/users.ts';
import { alive } from './alive.ts';
import { Failure } from './failure.ts';
import { isLocal } from './local.ts';
import { type ProcessEntry, readProcess } from './proc.ts';
import { notRunning, taskStatus } from './task-status.ts';

export interface ContainerProcess extends ProcessEntry {
  /** The uid's name in the container; the number where it has none. */
  readonly user: string;
  /** Undefined: it is not the first process of an exec. */
  readonly execId: string | undefined;
}

/** The processes of a running container, in the order of their pids. */
export const listProcesses = async (client: Client, id: string): Promise<readonly ContainerProcess[]> => {
  const { pid: init, state } = await taskStatus(client, id);
  if (!alive.has(state)) throw notRunning(id, state);
  if (!(await isLocal(client))) {
    throw new Failure("the daemon's processes cannot be seen from here: it has another pid namespace than we");
  }
  const names = namesOf(init);
  const processes = (await client.tasks.of(id).processes()).map(({ pid, execId }) => {
    const entry = readProcess(pid);
    if (entry === undefined) return undefined; // it has just ended
    const uid = uidInside(pid, entry.uid);
    return { ...entry, user: names.get(uid) ?? String(uid), execId };
  });
  return processes.filter((process) => process !== undefined).sort((a, b) => a.pid - b.pid);
};

const namesOf = (init: number): ReadonlyMap<number, string> => {
  try {
    return userNames(`/proc/${init}/root`);
  } catch {
    return new Map(); // not ours to look into, or no such file
  }
};

/** What a uid is in the process's own user namespace; what it was where that does not say. */
const uidInside = (pid: number, uid: number): number => {
  try {
    for (const line of readFileSync(`/proc/${pid}/uid_map`, 'utf8').trim().split('\n')) {
      const [inside = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number);
      if (uid >= outside && uid < outside + count) return inside + uid - outside;
    }
  } catch {
    // It has just ended.
  }
  return uid;
};
