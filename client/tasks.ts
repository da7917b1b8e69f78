import { TasksDefinition } from '../proto/gen/containerd/services/tasks/v1/tasks.ts';
import type { Channel } from './channel.ts';
import { statusOf, type ProcessStatus } from './process-status.ts';
import { Task } from './task.ts';
import { type Usage, usageOf } from './usage.ts';

/** The tasks of a namespace. */
export class Tasks {
  readonly #channel: Channel;
  readonly #namespace: string;

  constructor(channel: Channel, namespace: string) {
    this.#channel = channel;
    this.#namespace = namespace;
  }

  /** All tasks, created and stopped ones too; `id` is the container's. */
  async list(signal?: AbortSignal): Promise<ProcessStatus[]> {
    const { tasks } = await this.#channel.call(TasksDefinition, 'list', {}, { namespace: this.#namespace }, signal);
    return tasks.map(statusOf);
  }

  /** What the running tasks use, of these containers or of all. A task that has none to tell of is left out. */
  async usage(ids: readonly string[] = [], signal?: AbortSignal): Promise<Usage[]> {
    const request = { filters: ids.map((id) => `id==${JSON.stringify(id)}`) };
    const scope = { namespace: this.#namespace };
    const { metrics } = await this.#channel.call(TasksDefinition, 'metrics', request, scope, signal);
    return metrics.map(usageOf).filter((usage) => usage !== undefined);
  }

  /** Names the task of a container; nothing is asked of the daemon. */
  of(containerId: string): Task {
    return new Task(this.#channel, { namespace: this.#namespace, containerId, execId: '' });
  }
}
