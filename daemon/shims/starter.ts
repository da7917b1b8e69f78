import type { Logger } from 'pino';
import type { BindRequest } from '../../common/bootstrap.ts';
import { messageOf } from '../../common/errdefs.ts';
import type { ShimProgram } from './program.ts';
import { type Bound, Control, NoAnswer, type Survivors } from './shim-control.ts';
import { Zygote } from './zygote.ts';

/** How long a shim may take from its spawn until it serves, ms. */
const SPAWN_DEADLINE_MS = 15_000;
/** The same of one that is forked; after it another is started anew. */
const FORK_DEADLINE_MS = 3_000;
/** A zygote's start takes a core for a moment, which what we do at our own start needs more, ms. */
const ZYGOTE_DELAY_MS = 40;

export interface StarterOptions {
  readonly program: ShimProgram;
  /** Whether shims are forked from one that has been started; else each is a start of its own. */
  readonly zygote: boolean;
  readonly log: Logger;
}

/**
 * Brings shims to life. A start of Node takes longer than all else of a container's, so there is a zygote that has it
 * behind it; where that does not answer, a shim is started as a process of its own.
 */
export class ShimStarter {
  readonly #options: StarterOptions;
  #zygote: Zygote | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: StarterOptions) {
    this.#options = options;
    this.#startLater();
  }

  /** Makes a shim serve, and gives it copies of `survivors`. Rejects with what the shim said, or Unavailable. */
  async bind(request: Omit<BindRequest, 'descriptors'>, survivors: Survivors = {}): Promise<Bound> {
    const zygote = this.#options.zygote ? this.#ready() : undefined;
    if (zygote !== undefined) {
      try {
        return await zygote.fork().bind(request, survivors, FORK_DEADLINE_MS);
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        this.#options.log.warn({ err: error.message, zygote: zygote.pid }, 'the zygote gave no shim, and is replaced');
        zygote.kill();
      }
    }
    return Control.spawn(this.#options.program).bind(request, survivors, SPAWN_DEADLINE_MS);
  }

  /** The zygote sees the end of its socket and goes; its shims stay. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#zygote?.close();
  }

  /** The zygote, started if there is none; undefined: it cannot be. */
  #ready(): Zygote | undefined {
    clearTimeout(this.#timer);
    if (this.#zygote?.alive === true) return this.#zygote;
    try {
      const zygote = new Zygote(this.#options, () => {
        if (this.#zygote === zygote) this.#startLater();
      });
      this.#zygote = zygote;
      return zygote;
    } catch (error) {
      this.#options.log.warn({ err: messageOf(error) }, 'no zygote could be started');
      return undefined;
    }
  }

  #startLater(): void {
    if (this.#closed || !this.#options.zygote) return;
    this.#timer = setTimeout(() => this.#ready(), ZYGOTE_DELAY_MS).unref();
  }
}
