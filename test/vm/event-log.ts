import { unpackAny } from '../../common/any.ts';
import { TaskDelete, TaskExit, TaskOOM } from '../../proto/gen/containerd/events/event_payloads.ts';
import { EventsDefinition } from '../../proto/gen/containerd/services/events/v1/events.ts';
import type { Envelope } from '../../proto/gen/containerd/types/types.ts';
import { RawClient } from '../harness/grpc.ts';
import { eventually } from '../harness/wait.ts';

/** What a daemon has published of tasks since its first start, and goes on publishing. */
export class EventLog implements Disposable {
  readonly #client: RawClient;
  readonly #seen: Envelope[] = [];
  readonly #stream;

  constructor(address: string, namespace: string) {
    this.#client = new RawClient(address, namespace);
    const filters = [`namespace==${namespace},topic~=|^/tasks/|`];
    this.#stream = this.#client
      .service(EventsDefinition)
      .subscribe({ filters }, { metadata: { 'holdfast-since': '0' } });
    this.#stream.on('data', (envelope: Envelope) => this.#seen.push(envelope));
    this.#stream.on('error', () => undefined); // what has not come is missed by the test
  }

  /** The topics of a container's events in their order, once the last of `count` deletes of its task is there. */
  async topics(id: string, count = 1): Promise<string[]> {
    const topics = (): string[] => this.#of(id).map(({ topic }) => topic);
    const deletes = (): number => topics().filter((topic) => topic === '/tasks/delete').length;
    await eventually(() => deletes() >= count, { what: `delete ${count} of ${id}` });
    return topics();
  }

  /** The exits of a container's processes so far. */
  exits(id: string): TaskExit[] {
    return this.#of(id).flatMap(({ event }) => unpackAny(event, 'containerd.events.TaskExit', TaskExit) ?? []);
  }

  [Symbol.dispose](): void {
    this.#stream.cancel();
    this.#client.close();
  }

  #of(id: string): Envelope[] {
    return this.#seen.filter(({ topic, event }) => containerOf(topic, event) === id);
  }
}

/** Every event of a task has the container's id in its first field; deletes and OOMs say so for all. */
const containerOf = (topic: string, event: Envelope['event']): string | undefined => {
  if (event === undefined) return undefined;
  const codec = topic === '/tasks/oom' ? TaskOOM : topic === '/tasks/exit' ? TaskExit : TaskDelete;
  return codec.decode(event.value).containerId;
};
