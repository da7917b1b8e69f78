import { checkIdentifier } from '../common/identifiers.ts';
import { jsonTypes, packAny, unpackAny } from '../common/any.ts';
import { CheckpointOptions, ProcessDetails } from '../proto/gen/containerd/runc/v1/runc_options.ts';
import { TasksDefinition } from '../proto/gen/containerd/services/tasks/v1/tasks.ts';
import type { Metric } from '../proto/gen/containerd/types/types.ts';
import type { StdioPaths } from './io/stdio.ts';
import { jsonAny } from './json-any.ts';
import { Process } from './process.ts';
import { exitOf, type Exit } from './process-status.ts';
import type { LinuxResources, ProcessSpec } from './spec/runtime-spec.ts';

/** A process in a container. */
export interface TaskProcess {
  /** In the daemon's pid namespace. */
  readonly pid: number;
  /** Undefined: it is not the first process of an exec. */
  readonly execId: string | undefined;
}

/** The running thing of a container: its first process and what surrounds it (namespaces, cgroup, mounts). */
export class Task extends Process {
  /**
   * Adds a process. It does not run before `start`; its stdio is opened then. `id` is an identifier that no other exec
   * of this container has; fails with alreadyExists otherwise.
   */
  async exec(id: string, spec: ProcessSpec, stdio: StdioPaths, signal?: AbortSignal): Promise<Process> {
    const execId = checkIdentifier(id);
    const { containerId } = this.name;
    await this.channel.call(
      TasksDefinition,
      'exec',
      { containerId, execId, ...stdio, spec: jsonAny(jsonTypes.process, spec) },
      this.scope,
      signal,
    );
    return this.process(execId);
  }

  /** Names an exec that somebody added; nothing is asked of the daemon. */
  process(execId: string): Process {
    return new Process(this.channel, { ...this.name, execId });
  }

  /** Pids of all processes in the container, in the daemon's pid namespace. */
  async pids(signal?: AbortSignal): Promise<number[]> {
    return (await this.processes(signal)).map(({ pid }) => pid);
  }

  /** The same, with the exec id of those that exec has started. */
  async processes(signal?: AbortSignal): Promise<TaskProcess[]> {
    const request = { containerId: this.name.containerId };
    const { processes } = await this.channel.call(TasksDefinition, 'listPids', request, this.scope, signal);
    return processes.map(({ pid, info }) => ({
      pid,
      execId: unpackAny(info, 'containerd.runc.v1.ProcessDetails', ProcessDetails)?.execId,
    }));
  }

  /** Freezes all processes. Fails with failedPrecondition unless the task runs. */
  async pause(signal?: AbortSignal): Promise<void> {
    await this.channel.call(TasksDefinition, 'pause', { containerId: this.name.containerId }, this.scope, signal);
  }

  async resume(signal?: AbortSignal): Promise<void> {
    await this.channel.call(TasksDefinition, 'resume', { containerId: this.name.containerId }, this.scope, signal);
  }

  /** What the task's cgroup says, as `io.containerd.cgroups.v1.Metrics` or `…v2.Metrics` in `data`; see `usageOf`. */
  async metrics(signal?: AbortSignal): Promise<Metric | undefined> {
    const request = { filters: [`id==${this.name.containerId}`] };
    const { metrics } = await this.channel.call(TasksDefinition, 'metrics', request, this.scope, signal);
    return metrics.find(({ id }) => id === this.name.containerId);
  }

  /** Changes limits of the running task; what `resources` leaves out stays as it is. */
  async update(resources: LinuxResources, signal?: AbortSignal): Promise<void> {
    const { containerId } = this.name;
    const request = { containerId, resources: jsonAny(jsonTypes.linuxResources, resources) };
    await this.channel.call(TasksDefinition, 'update', request, this.scope, signal);
  }

  /** Writes a checkpoint into the directory `imagePath` of the daemon's machine, through criu. `exit`: ends the task. */
  async checkpoint(imagePath: string, options: { readonly exit?: boolean } = {}, signal?: AbortSignal): Promise<void> {
    const checkpoint = CheckpointOptions.fromPartial({ imagePath, exit: options.exit ?? false });
    const request = {
      containerId: this.name.containerId,
      options: packAny('containerd.runc.v1.CheckpointOptions', CheckpointOptions, checkpoint),
    };
    await this.channel.call(TasksDefinition, 'checkpoint', request, this.scope, signal);
  }

  /**
   * Forgets an ended or a never started task and gives how it ended. Fails with failedPrecondition (a containerd: unknown)
   * while it runs.
   */
  override async delete(signal?: AbortSignal): Promise<Exit> {
    const request = { containerId: this.name.containerId };
    return exitOf(await this.channel.call(TasksDefinition, 'delete', request, this.scope, signal));
  }
}
