import { closeSync, existsSync } from 'node:fs';
import { shimPaths } from '../../common/bootstrap.ts';
import { messageOf } from '../../common/errdefs.ts';
import { collectHandout } from '../shims/handout.ts';
import type { Shim } from '../shims/shim.ts';
import type { Survivors } from '../shims/shim-control.ts';
import { initOf, type ProcessKey } from './keys.ts';
import type { TaskParts } from './parts.ts';

/** How long a shim may take to hand out what it has, ms. */
const HANDOUT_MS = 1_000;

/**
 * Keeps copies of what a shim of ours alone has, terminals above all, for the shim that may have to take its place.
 * Without them nothing is wrong as long as this shim lives, so a failure is only logged.
 */
export const keepHandout = async (parts: TaskParts, shim: Shim): Promise<void> => {
  const path = shimPaths(parts.config.state, shim.key).handout;
  if (!shim.own || !existsSync(path)) return;
  try {
    const byProcess = new Map<string, Map<string, number>>();
    for (const [name, fd] of await collectHandout(path, HANDOUT_MS)) {
      const [id = '', execId = '', stream = ''] = name.split('/');
      const process = `${id}/${execId}`;
      byProcess.set(process, (byProcess.get(process) ?? new Map()).set(stream, fd));
    }
    for (const [process, fds] of byProcess) {
      const [id = '', execId = ''] = process.split('/');
      const key = { namespace: shim.row.namespace, id, execId };
      if (isRunning(parts, key)) parts.stdio.keep(key, fds);
      else fds.forEach((fd) => closeSync(fd)); // it would keep a reader from the end
    }
  } catch (error) {
    parts.log.warn({ shim: shim.key, err: messageOf(error) }, 'what a shim hands out cannot be kept');
  }
};

const isRunning = (parts: TaskParts, key: ProcessKey): boolean => {
  const row = key.execId === '' ? parts.tasks.get(key) : parts.execs.get(key);
  return row !== undefined && row.exit === undefined;
};

/** What has been kept of a shim's, under the names by which it knows it. */
export const survivorsOf = (parts: TaskParts, shim: Shim): Survivors => {
  const survivors: Record<string, number> = {};
  for (const task of parts.tasks.ofShim(shim.key)) {
    for (const key of [initOf(task), ...parts.execs.ofTask(task)]) {
      for (const [name, fd] of parts.stdio.kept(key)) survivors[`${key.id}/${key.execId}/${name}`] = fd;
    }
  }
  return survivors;
};
