import { checkIdentifier } from '../common/identifiers.ts';
import { Channel } from './channel.ts';
import { Containers } from './containers.ts';
import { Events } from './events.ts';
import { Namespaces } from './namespaces.ts';
import { Server } from './server.ts';
import { Tasks } from './tasks.ts';

/** Where a daemon listens that was started without `--address`. */
export const DEFAULT_ADDRESS = '/run/holdfast/holdfast.sock';

/** The namespace of who names none; ctr's, so that both see the same containers. */
export const DEFAULT_NAMESPACE = 'default';

export interface ConnectOptions {
  /** Path of the daemon's gRPC socket, or `unix://` and a path. Default: `DEFAULT_ADDRESS`. */
  readonly address?: string;
  /** Namespace of all that is made and seen. Default: `DEFAULT_NAMESPACE`. */
  readonly namespace?: string;
}

/**
 * Gives a client of a Holdfast daemon, or of any daemon that speaks containerd's API (1.6 or later). Nothing is sent
 * before the first call, and a daemon that restarts is found again by itself.
 *
 * Throws invalidArgument for a namespace that is no identifier and for a socket path over 107 bytes. All calls fail
 * with a CodedError; an UnreachableError when no daemon answers.
 *
 *     await using client = connect({ namespace: 'default' });
 *     const container = await client.containers.get('web');
 */
export const connect = (options: ConnectOptions = {}): Client =>
  new Client(new Channel(options.address ?? DEFAULT_ADDRESS), checkIdentifier(options.namespace ?? DEFAULT_NAMESPACE));

export class Client implements AsyncDisposable {
  readonly namespace: string;
  readonly containers: Containers;
  readonly tasks: Tasks;
  /** Of the whole daemon, as `events` and `server` are. */
  readonly namespaces: Namespaces;
  readonly events: Events;
  readonly server: Server;
  readonly #channel: Channel;

  constructor(channel: Channel, namespace: string) {
    this.#channel = channel;
    this.namespace = namespace;
    this.containers = new Containers(channel, namespace);
    this.tasks = new Tasks(channel, namespace);
    this.namespaces = new Namespaces(channel, namespace);
    this.events = new Events(channel, namespace);
    this.server = new Server(channel);
  }

  /** Path of the daemon's socket. */
  get address(): string {
    return this.#channel.address;
  }

  /** The same connection, another namespace. Closing either closes both. */
  inNamespace(namespace: string): Client {
    return new Client(this.#channel, checkIdentifier(namespace));
  }

  /** Closes the connection; calls under way fail with canceled. Containers are not touched. */
  close(): void {
    this.#channel.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
