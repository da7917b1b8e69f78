import { notFound } from '../common/errdefs.ts';
import { TasksDefinition } from '../proto/gen/containerd/services/tasks/v1/tasks.ts';
import type { Channel } from './channel.ts';
import { exitOf, statusOf, type Exit, type ProcessStatus } from './process-status.ts';
import { repeatWhileAway } from './while-away.ts';

/** Which process of which container. */
export interface ProcessName {
  readonly namespace: string;
  readonly containerId: string;
  /** Empty: the container's first process, its task. */
  readonly execId: string;
}

export interface WaitOptions {
  /** Called once when the daemon is found to be away; the wait goes on until it is back. */
  readonly onAway?: (error: unknown) => void;
}

/**
 * A process of a container: the first one (Task) or one that was added by exec. The object is a name and a connection:
 * many may exist for one process, none of them keeps it alive.
 *
 * Calls fail with notFound when the process was deleted, and with unavailable while the daemon is away.
 */
export class Process {
  readonly name: ProcessName;
  protected readonly channel: Channel;

  constructor(channel: Channel, name: ProcessName) {
    this.channel = channel;
    this.name = name;
  }

  /** Starts what was created. Gives its pid in the daemon's pid namespace. */
  async start(signal?: AbortSignal): Promise<number> {
    const { pid } = await this.channel.call(TasksDefinition, 'start', this.ids, this.scope, signal);
    return pid;
  }

  async status(signal?: AbortSignal): Promise<ProcessStatus> {
    const { process } = await this.channel.call(TasksDefinition, 'get', this.ids, this.scope, signal);
    if (process === undefined) throw notFound('process', this.name.execId || this.name.containerId);
    return statusOf(process);
  }

  /**
   * Waits until the process has ended; answers at once if it has. The wait survives the daemon: when it goes away,
   * the question is asked again until it is back, because a container does not end with its daemon.
   */
  async wait(options: WaitOptions = {}, signal?: AbortSignal): Promise<Exit> {
    const ask = () => this.channel.call(TasksDefinition, 'wait', this.ids, this.scope, signal);
    return exitOf(await repeatWhileAway(ask, options.onAway, signal));
  }

  /**
   * Sends a signal, by number. `all`: to every process of the container, not only to this one.
   * Fails with notFound when the process has ended, with failedPrecondition when it was not started.
   */
  async kill(number: number, options: { readonly all?: boolean } = {}, signal?: AbortSignal): Promise<void> {
    const request = { ...this.ids, signal: number, all: options.all ?? false };
    await this.channel.call(TasksDefinition, 'kill', request, this.scope, signal);
  }

  /** Sets the size of the process's terminal, in characters. Nothing happens to a process without one. */
  async resize(columns: number, rows: number, signal?: AbortSignal): Promise<void> {
    await this.channel.call(
      TasksDefinition,
      'resizePty',
      { ...this.ids, width: columns, height: rows },
      this.scope,
      signal,
    );
  }

  /** Lets the process see the end of its input once it has read what was written so far. */
  async closeStdin(signal?: AbortSignal): Promise<void> {
    await this.channel.call(TasksDefinition, 'closeIO', { ...this.ids, stdin: true }, this.scope, signal);
  }

  /**
   * Forgets an ended process and gives how it ended. Fails with failedPrecondition (a containerd: unknown)
   * while it runs.
   */
  async delete(signal?: AbortSignal): Promise<Exit> {
    return exitOf(await this.channel.call(TasksDefinition, 'deleteProcess', this.ids, this.scope, signal));
  }

  protected get ids(): { readonly containerId: string; readonly execId: string } {
    return { containerId: this.name.containerId, execId: this.name.execId };
  }

  protected get scope(): { readonly namespace: string } {
    return { namespace: this.name.namespace };
  }
}
