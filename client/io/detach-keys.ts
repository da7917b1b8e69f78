import { Transform, type TransformCallback } from 'node:stream';
import { invalidArgument } from '../../common/errdefs.ts';

/** What leaves a terminal and its process to themselves. Source: Docker's default. */
export const DEFAULT_DETACH_KEYS = 'ctrl-p,ctrl-q';

/**
 * The bytes of `ctrl-p,ctrl-q` or `ctrl-],x`: keys are one character, or `ctrl-` and a letter or one of `@[\]^_`.
 * Empty: none. Throws invalidArgument for what is no key.
 */
export const parseDetachKeys = (text: string): Buffer =>
  text === '' ? Buffer.alloc(0) : Buffer.concat(text.split(',').map(keyBytes));

const keyBytes = (key: string): Buffer => {
  const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
  // Control characters are the capitals without their seventh bit.
  if (control !== undefined) return Buffer.of(control.toUpperCase().charCodeAt(0) & 0x1f);
  if (/^.$/u.test(key)) return Buffer.from(key);
  throw invalidArgument(`${JSON.stringify(key)} is no key: a character, or ctrl- and one of a-z @ [ \\ ] ^ _`);
};

/**
 * Passes on what is typed and calls `onDetach` when the keys were typed one after the other; they are kept back, as is
 * their beginning until it is clear that it was no more than that.
 */
export class DetachKeys extends Transform {
  readonly #keys: Buffer;
  readonly #onDetach: () => void;
  /** So many of the keys were typed last. */
  #typed = 0;

  constructor(keys: Buffer, onDetach: () => void) {
    super();
    this.#keys = keys;
    this.#onDetach = onDetach;
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    const out: number[] = [];
    for (const byte of chunk) {
      if (this.#keys.length === 0) out.push(byte);
      else if (this.#accepts(byte, out)) {
        setImmediate(this.#onDetach); // what was typed before them is on its way by then
        break;
      }
    }
    done(null, Buffer.from(out));
  }

  override _flush(done: TransformCallback): void {
    done(null, this.#keys.subarray(0, this.#typed));
  }

  /** Whether the keys are complete with this one; what turns out to be none of them goes to `out`. */
  #accepts(byte: number, out: number[]): boolean {
    const keys = this.#keys;
    // As many of what was typed last as are a beginning of the keys again: of x x y, after x x x, the last two.
    const typed = [...keys.subarray(0, this.#typed), byte];
    let kept = typed.length;
    while (kept > 0 && !keys.subarray(0, kept).equals(Buffer.from(typed.slice(-kept)))) kept -= 1;
    if (kept === keys.length) {
      this.#typed = 0;
      return true;
    }
    out.push(...typed.slice(0, typed.length - kept));
    this.#typed = kept;
    return false;
  }
}
