import { packAny } from '../common/any.ts';
import { nanosFromTimestamp } from '../common/timestamp.ts';
import { Options } from '../proto/gen/containerd/runc/v1/runc_options.ts';
import {
  ContainersDefinition,
  type Container as ContainerMessage,
} from '../proto/gen/containerd/services/containers/v1/containers.ts';
import { TasksDefinition } from '../proto/gen/containerd/services/tasks/v1/tasks.ts';
import type { Mount } from '../proto/gen/containerd/types/types.ts';
import type { Any } from '../proto/gen/google/protobuf/any.ts';
import type { Channel } from './channel.ts';
import type { StdioPaths } from './io/stdio.ts';
import { parseJsonAny } from './json-any.ts';
import type { Spec } from './spec/runtime-spec.ts';
import { Task } from './task.ts';

/** What the daemon knows of a container: that it should exist, not whether it runs. */
export interface ContainerInfo {
  readonly id: string;
  readonly labels: ReadonlyMap<string, string>;
  /** Name of the image it was made of; empty: none. */
  readonly image: string;
  /** Name of the runtime, `io.containerd.runc.v2`. */
  readonly runtime: string;
  /** The OCI runtime specification; undefined when it is no JSON document. Made by whoever made the container. */
  readonly spec: Spec | undefined;
  readonly snapshotter: string;
  readonly snapshotKey: string;
  /** Nanoseconds since 1970; 0n: not known. */
  readonly createdAtNanos: bigint;
  readonly updatedAtNanos: bigint;
}

export interface TaskOptions {
  /** Mounts that make up the root file system; none if the Spec's `root.path` is one already. */
  readonly rootfs?: readonly Mount[];
  /** Directory of a checkpoint to continue from, on the daemon's machine. */
  readonly checkpointPath?: string;
  /** Options of the runtime, in its own type; default: those of the container. */
  readonly runtimeOptions?: Any;
}

/** A container: a name, a specification and labels in the daemon's store. The object is a view; it keeps nothing alive. */
export class Container {
  readonly id: string;
  readonly namespace: string;
  readonly #channel: Channel;

  constructor(channel: Channel, namespace: string, id: string) {
    this.#channel = channel;
    this.namespace = namespace;
    this.id = id;
  }

  /** Its task, whether there is one or not; nothing is asked of the daemon. */
  get task(): Task {
    return new Task(this.#channel, { namespace: this.namespace, containerId: this.id, execId: '' });
  }

  /** Fails with notFound. */
  async info(signal?: AbortSignal): Promise<ContainerInfo> {
    const { container } = await this.#channel.call(ContainersDefinition, 'get', { id: this.id }, this.#scope, signal);
    return infoOf(container ?? emptyContainer(this.id));
  }

  /**
   * Makes everything that the process needs (namespaces, cgroup, mounts, stdio) and stops before its first
   * instruction, so that a network can be attached; `task.start()` goes on. FIFOs must have been made before.
   * Fails with alreadyExists if the container has a task, and with unknown and the runtime's words if that refuses.
   */
  async createTask(stdio: StdioPaths, options: TaskOptions = {}, signal?: AbortSignal): Promise<Task> {
    const request = {
      containerId: this.id,
      rootfs: [...(options.rootfs ?? [])],
      ...stdio,
      options: options.checkpointPath === undefined ? options.runtimeOptions : restoring(options.checkpointPath),
    };
    await this.#channel.call(TasksDefinition, 'create', request, this.#scope, signal);
    return this.task;
  }

  /** Sets these labels and leaves the others; an empty value removes a label. */
  async label(labels: ReadonlyMap<string, string>, signal?: AbortSignal): Promise<ContainerInfo> {
    const request = {
      container: { ...emptyContainer(this.id), labels: new Map(labels) },
      updateMask: [...labels.keys()].map((key) => `labels.${key}`),
    };
    const { container } = await this.#channel.call(ContainersDefinition, 'update', request, this.#scope, signal);
    return infoOf(container ?? emptyContainer(this.id));
  }

  /** Forgets the container. Its task must have been deleted before. */
  async delete(signal?: AbortSignal): Promise<void> {
    await this.#channel.call(ContainersDefinition, 'delete', { id: this.id }, this.#scope, signal);
  }

  get #scope(): { readonly namespace: string } {
    return { namespace: this.namespace };
  }
}

export const emptyContainer = (id: string): ContainerMessage => ({
  id,
  labels: new Map(),
  image: '',
  runtime: undefined,
  spec: undefined,
  snapshotter: '',
  snapshotKey: '',
  createdAt: undefined,
  updatedAt: undefined,
  extensions: new Map(),
  sandbox: '',
});

export const infoOf = (container: ContainerMessage): ContainerInfo => ({
  id: container.id,
  labels: container.labels,
  image: container.image,
  runtime: container.runtime?.name ?? '',
  spec: parseJsonAny(container.spec) as Spec | undefined, // whoever made it may have written anything
  snapshotter: container.snapshotter,
  snapshotKey: container.snapshotKey,
  createdAtNanos: nanosFromTimestamp(container.createdAt),
  updatedAtNanos: nanosFromTimestamp(container.updatedAt),
});

const restoring = (criuImagePath: string): Any =>
  packAny('containerd.runc.v1.Options', Options, Options.fromPartial({ criuImagePath }));
