import { closeSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fork, Poller, reap, receiveDescriptors } from '../native/index.ts';
import { warmUp } from './warm-up.ts';

/** A request is a byte with one descriptor. */
const REQUEST_BYTES = 1;

/**
 * Makes shims by forking: they begin with Node started, our code loaded and compiled, and share that memory. Resolves
 * in each of them, with its control socket; here it ends with the process, when the daemon has closed the socket.
 */
export const zygote = async (requestsFd: number): Promise<number> => {
  using requests = new Requests(requestsFd);
  const children = new Set<number>();
  /** Shims outlive us; one that has not must not stay a zombie. libuv reaps what it has started itself. */
  const onChild = (): void => children.forEach((pid) => reap({ pid }) !== undefined && children.delete(pid));
  process.on('SIGCHLD', onChild);
  const steps = warmUp();
  for (;;) {
    const control = requests.take();
    if (control !== undefined) {
      await nextTurn(); // not on the loop's turn for descriptors: fork's condition
      const pid = fork();
      if (pid === 'child') {
        process.off('SIGCHLD', onChild);
        return control;
      }
      children.add(pid);
      closeSync(control);
    } else if (requests.ended) {
      process.exit(0);
    } else if ((await steps.next()).done === true) {
      await requests.more();
    }
  }
};

/** Requests that have come in: the control sockets of shims to be. */
class Requests implements Disposable {
  readonly #fd: number;
  readonly #controls: number[] = [];
  readonly #poller: Poller;
  #ended = false;
  #more = Promise.withResolvers<void>();

  constructor(fd: number) {
    this.#fd = fd;
    this.#poller = new Poller(fd, { readable: true }, () => this.#receive());
  }

  get ended(): boolean {
    return this.#ended;
  }

  take(): number | undefined {
    return this.#controls.shift();
  }

  /** Resolves when there is a request, or the end. */
  async more(): Promise<void> {
    if (this.#controls.length > 0 || this.#ended) return;
    this.#more = Promise.withResolvers();
    await this.#more.promise;
  }

  /** In a child: the zygote's socket, and what is to be its siblings'. */
  [Symbol.dispose](): void {
    this.#poller.close();
    closeSync(this.#fd);
    for (const control of this.#controls) closeSync(control);
  }

  #receive(): void {
    for (;;) {
      const message = receiveDescriptors(this.#fd, REQUEST_BYTES, 1);
      if (message === undefined) break;
      if (message.data.length === 0) {
        this.#ended = true;
        this.#poller.close();
        break;
      }
      this.#controls.push(...message.fds);
    }
    this.#more.resolve();
  }
}
