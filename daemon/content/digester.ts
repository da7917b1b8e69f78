import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Hashed in one go, bytes: half a millisecond of SHA-256 on a slow core. In between, other calls have their turn. */
const SLICE_BYTES = 256 << 10;

/** A digest of what has come so far. Updates must not overlap. */
export class Digester {
  readonly algorithm: string;
  #hash;

  constructor(algorithm: string) {
    this.algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

  /** `bytes` must stay as they are until it resolves. */
  async update(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.length; start += SLICE_BYTES) {
      if (start > 0) await nextTurn();
      this.#hash.update(bytes.subarray(start, start + SLICE_BYTES));
    }
  }

  reset(): void {
    this.#hash = createHash(this.algorithm);
  }

  /** `sha256:…`; more may come afterwards. */
  get digest(): string {
    return `${this.algorithm}:${this.#hash.copy().digest('hex')}`;
  }
}
