import type net from 'node:net';
import { messageOf } from '../common/errdefs.ts';
import { MESSAGE_FDS_MAX, sendDescriptors } from '../native/index.ts';
import { acceptFrom, bindAt, descriptorOf } from './listen.ts';
import type { Log } from './log.ts';

export interface HandoutOptions {
  /** Where to listen. Source: ShimPaths. */
  readonly path: string;
  /** What there is to hand out now, by name. */
  readonly descriptors: () => Readonly<Record<string, number>>;
  readonly log: Log;
}

/** Gives the daemon copies of what would be lost with this process. */
export class Handout {
  readonly #options: HandoutOptions;
  #listening: Promise<unknown> | undefined;

  constructor(options: HandoutOptions) {
    this.#options = options;
  }

  /** To be called when there may be more than before: whoever is told afterwards can have it. */
  async offer(): Promise<void> {
    if (this.#listening === undefined && Object.keys(this.#options.descriptors()).length === 0) return;
    this.#listening ??= acceptFrom(bindAt(this.#options.path), (socket) => this.#give(socket));
    await this.#listening.catch((error: unknown) => {
      this.#listening = undefined;
      this.#options.log.warn('descriptors cannot be handed out', { reason: messageOf(error) });
    });
  }

  #give(socket: net.Socket): void {
    socket.on('error', () => undefined); // whoever asked is gone
    const fd = descriptorOf(socket) ?? -1; // of one that is closed already sending fails
    const all = Object.entries(this.#options.descriptors());
    for (let at = 0; at < all.length; at += MESSAGE_FDS_MAX) {
      const some = all.slice(at, at + MESSAGE_FDS_MAX);
      const names = Buffer.from(`${JSON.stringify(some.map(([name]) => name))}\n`);
      try {
        sendDescriptors(
          fd,
          names,
          some.map(([, one]) => one),
        );
      } catch (error) {
        this.#options.log.warn('descriptors were not handed out', { reason: messageOf(error) });
      }
    }
    socket.end();
  }
}
