import { join } from 'node:path';
import { messageOf } from '../common/errdefs.ts';
import type { MakeTasks } from './compose.ts';
import { reconcile } from './reconcile.ts';
import { tasksService } from './services/tasks.ts';
import { connectShim } from './shims/connect.ts';
import { readBootId } from './shims/processes.ts';
import { shimProgram } from './shims/program.ts';
import { runtimeInfo } from './shims/runtime-info.ts';
import { ShimLogs } from './shims/shim-logs.ts';
import { Shims } from './shims/shims.ts';
import { ShimStarter } from './shims/starter.ts';
import { execTable } from './store/tables/execs.ts';
import { intentTable } from './store/tables/intents.ts';
import { shimTable } from './store/tables/shims.ts';
import { taskTable } from './store/tables/tasks.ts';
import { tombstoneTable } from './store/tables/tombstones.ts';
import { ExitWaiters } from './tasks/exits.ts';
import { StdioHolds } from './tasks/stdio-holds.ts';
import { absorbEvent } from './tasks/intake.ts';
import { recoverShim } from './tasks/lost.ts';
import type { TaskParts } from './tasks/parts.ts';
import { visibleTask } from './tasks/registry.ts';
import { Turns } from './tasks/turns.ts';
import { survivorsOf } from './tasks/keepsakes.ts';

/** Puts together the part of the daemon that runs tasks, and begins to reconcile. */
export const makeTasks: MakeTasks = (core) => {
  const { config, log, db, events, containers, stopping } = core;
  const { state, address, ttrpcAddress, timeouts } = config;
  const background = (what: string, work: Promise<unknown>): void =>
    void work.catch((error: unknown) => log.error({ err: error }, `${what} failed`));
  const bootId = readBootId();
  const program = shimProgram();
  const starter = new ShimStarter({ program, zygote: config.tasks.zygote, log });
  const table = shimTable(db);
  const tasks = taskTable(db);
  const shims = new Shims({
    starter,
    program,
    state,
    address,
    ttrpcAddress,
    debug: log.isLevelEnabled('debug'),
    stdio: config.tasks.stdio,
    bootId,
    log,
    connect: connectShim({ state, connectMs: timeouts.shimLoadMs }),
    db,
    table,
    tasks,
    events,
    connectMs: timeouts.shimLoadMs,
    shutdownMs: timeouts.shimShutdownMs,
    survivors: (shim) => survivorsOf(parts, shim),
    onLost: (shim) => background('recovery of a shim', recoverShim(parts, shim)),
  });
  const parts: TaskParts = {
    config,
    log,
    db,
    events,
    containers,
    tasks,
    execs: execTable(db),
    intents: intentTable(db),
    tombstones: tombstoneTable(db),
    shimTable: table,
    shims,
    shimLogs: new ShimLogs(log),
    stdio: new StdioHolds(),
    turns: new Turns(),
    exits: new ExitWaiters(),
    catchingUp: new Map(),
    heard: new Set(),
    bootId,
    stopping,
    background,
  };
  const ready = reconcile(parts);

  return {
    services: [tasksService(parts)],
    ready,
    absorb: (event) => absorbEvent(parts, event),
    isUndeleted: (namespace, id, execId) =>
      visibleTask(parts, { namespace, id }) !== undefined &&
      (execId === '' || parts.execs.get({ namespace, id, execId }) !== undefined),
    runtimeInfo: (request) => runtimeInfo(shims.parts, config.runtimes, request),
    dump: () => dump(parts),
    close: async () => {
      starter.close();
      shims.close();
    },
  };
};

const dump = (parts: TaskParts): unknown => {
  try {
    return {
      tasks: parts.tasks.list(),
      intents: parts.intents.list(),
      shims: parts.shims.all().map((shim) => ({ ...shim.row, state: shim.describe })),
      turns: parts.turns.busy,
      waiting: parts.exits.count,
      stdioHeld: parts.stdio.count,
      bundles: join(parts.config.state, 'io.containerd.runtime.v2.task'),
    };
  } catch (error) {
    return { error: messageOf(error) };
  }
};
