import { packAny } from '../common/any.ts';
import { invalidArgument } from '../common/errdefs.ts';
import { timestampFromNanos } from '../common/timestamp.ts';
import { ProcessDetails } from '../proto/gen/containerd/runc/v1/runc_options.ts';
import type * as task from '../proto/gen/containerd/task/v2/task_v2.ts';
import { Status } from '../proto/gen/containerd/v1/types/task_types.ts';
import type { Empty } from '../proto/gen/google/protobuf/empty.ts';
import { checkpointContainer } from './checkpoint.ts';
import { Init } from './init.ts';
import type { End } from './process.ts';
import type { Deleted, Shim } from './shim.ts';

/** What the handlers use of a call. */
export interface TaskCall {
  /** Aborted when the caller is gone or its time is up. */
  readonly signal: AbortSignal;
}

export interface TaskServiceParts {
  readonly shim: Shim;
  /** Asks the shim to end once it has nothing left to do. */
  readonly shutdown: () => void;
}

/** The Task API over ttrpc; versions 2 and 3 have the same messages, so the same handlers serve both. */
export const taskService = ({ shim, shutdown }: TaskServiceParts) => ({
  async create(request: task.CreateTaskRequest, { signal }: TaskCall): Promise<task.CreateTaskResponse> {
    const container = await shim.create(request, signal);
    return { pid: container.init.pid };
  },

  async start({ id, execId }: task.StartRequest, { signal }: TaskCall): Promise<task.StartResponse> {
    return { pid: await shim.start(id, execId, signal) };
  },

  async delete({ id, execId }: task.DeleteRequest, { signal }: TaskCall): Promise<task.DeleteResponse> {
    return encodeDeleted(await shim.delete(id, execId, signal));
  },

  async exec(request: task.ExecProcessRequest, { signal }: TaskCall): Promise<Empty> {
    await shim.addExec(request, signal);
    return {};
  },

  async pause({ id }: task.PauseRequest, { signal }: TaskCall): Promise<Empty> {
    await shim.turn(id, signal, () => shim.container(id).init.pause());
    return {};
  },

  async resume({ id }: task.ResumeRequest, { signal }: TaskCall): Promise<Empty> {
    await shim.turn(id, signal, () => shim.container(id).init.resume());
    return {};
  },

  async update({ id, resources }: task.UpdateTaskRequest, { signal }: TaskCall): Promise<Empty> {
    const json = resources === undefined ? '' : Buffer.from(resources.value).toString('utf8');
    if (json === '') throw invalidArgument('resources are required');
    await shim.turn(id, signal, () => shim.container(id).init.update(json));
    return {};
  },

  async checkpoint(request: task.CheckpointTaskRequest, { signal }: TaskCall): Promise<Empty> {
    await shim.turn(request.id, signal, () => checkpointContainer(shim.container(request.id), request, signal));
    return {};
  },

  async state({ id, execId }: task.StateRequest): Promise<task.StateResponse> {
    const container = shim.container(id);
    const process = container.process(execId);
    const frozen = container.init.state === 'paused' || container.init.state === 'pausing';
    return {
      ...process.stdio,
      ...encodeEnd(process.exit),
      id: execId === '' ? id : execId,
      execId,
      bundle: container.bundle,
      pid: process.pid,
      // What is paused is the container, and all that is in it.
      status: statusOf[frozen ? container.init.state : process.state],
    };
  },

  async kill({ id, execId, signal, all }: task.KillRequest): Promise<Empty> {
    const process = shim.container(id).process(execId);
    if (process instanceof Init) await process.kill(signal, all);
    else process.kill(signal);
    return {};
  },

  async wait({ id, execId }: task.WaitRequest, { signal }: TaskCall): Promise<task.WaitResponse> {
    return encodeEnd(await shim.container(id).process(execId).wait(signal));
  },

  async pids({ id }: task.PidsRequest): Promise<task.PidsResponse> {
    const container = shim.container(id);
    const pids = await container.runc.ps(id);
    const infoOf = (pid: number) => {
      const exec = container.execOf(pid);
      return exec === undefined
        ? undefined
        : packAny('containerd.runc.v1.ProcessDetails', ProcessDetails, { execId: exec.execId });
    };
    return { processes: pids.map((pid) => ({ pid, info: infoOf(pid) })) };
  },

  async stats({ id }: task.StatsRequest): Promise<task.StatsResponse> {
    return { stats: await shim.container(id).init.stats() };
  },

  async resizePty({ id, execId, width, height }: task.ResizePtyRequest): Promise<Empty> {
    shim.container(id).process(execId).resize(width, height);
    return {};
  },

  async closeIO({ id, execId }: task.CloseIORequest): Promise<Empty> {
    shim.container(id).process(execId).closeStdin();
    return {};
  },

  /** Succeeds without a container too: it is how a daemon asks whether the shim is there. */
  async connect({ id }: task.ConnectRequest): Promise<task.ConnectResponse> {
    return { shimPid: process.pid, taskPid: shim.containers.get(id)?.init.pid ?? 0, version: '' };
  },

  async shutdown(_request: task.ShutdownRequest): Promise<Empty> {
    if (shim.idle) shutdown();
    return {};
  },
});

const statusOf = {
  created: Status.CREATED,
  restorable: Status.CREATED,
  running: Status.RUNNING,
  pausing: Status.PAUSING,
  paused: Status.PAUSED,
  stopped: Status.STOPPED,
  deleted: Status.STOPPED,
} as const;

const encodeEnd = (end: End | undefined): task.WaitResponse => ({
  exitStatus: end?.status ?? 0,
  exitedAt: end === undefined || end.exitedAt === 0n ? undefined : timestampFromNanos(end.exitedAt),
});

export const encodeDeleted = (deleted: Deleted): task.DeleteResponse => ({ pid: deleted.pid, ...encodeEnd(deleted) });
