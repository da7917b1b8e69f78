import { CodedError, codes } from '../../common/errdefs.ts';
import { NAMESPACE_KEY_TTRPC } from '../../common/namespace.ts';
import type { TtrpcClient } from '../../common/ttrpc/client.ts';
import type { RequestOf, ResponseOf } from '../../common/ttrpc/definition.ts';
import { TaskDefinition as TaskV2 } from '../../proto/gen/containerd/task/v2/task_v2.ts';
import { TaskDefinition as TaskV3 } from '../../proto/gen/containerd/task/v3/task_v3.ts';
import { Connections } from './connections.ts';

type Methods = typeof TaskV2.methods;
export type TaskMethod = keyof Methods;
export type TaskRequest<M extends TaskMethod> = RequestOf<Methods[M]>;
export type TaskResponse<M extends TaskMethod> = ResponseOf<Methods[M]>;

export interface CallLimits {
  /** DeadlineExceeded when it has passed; default: none. */
  readonly timeoutMs?: number;
  /** Canceled when it aborts. */
  readonly signal?: AbortSignal;
}

export interface TaskClientOptions {
  /** `unix:///…` */
  readonly address: string;
  readonly namespace: string;
  /** Of the Task API: 2 or 3. */
  readonly version: number;
  readonly connectMs: number;
}

/** The Task API of one shim. Versions 2 and 3 differ in their name only. */
export class TaskClient {
  readonly #connections: Connections;
  readonly #metadata: Map<string, string[]>;
  #definition: typeof TaskV2;

  constructor({ address, namespace, version, connectMs }: TaskClientOptions) {
    this.#connections = new Connections(address, connectMs);
    this.#metadata = new Map([[NAMESPACE_KEY_TTRPC, [namespace]]]);
    this.#definition = version >= 3 ? (TaskV3 as unknown as typeof TaskV2) : TaskV2;
  }

  async call<M extends TaskMethod>(
    method: M,
    request: TaskRequest<M>,
    limits: CallLimits = {},
  ): Promise<TaskResponse<M>> {
    const send = (client: TtrpcClient): Promise<TaskResponse<M>> =>
      client.call(this.#definition, method, request, { ...limits, metadata: this.#metadata });
    try {
      return await this.#connections.use(send, limits.signal);
    } catch (error) {
      if (this.#definition === TaskV2 || !(error instanceof CodedError) || error.code !== codes.unimplemented)
        throw error;
      // It said 3 and knows 2 only.
      this.#definition = TaskV2;
      return await this.#connections.use(send, limits.signal);
    }
  }

  close(): void {
    this.#connections.close();
  }
}
