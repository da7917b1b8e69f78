import { isNotFound, notFound } from '../../common/errdefs.ts';
import { protect, release } from '../leases/protect.ts';
import type { LeaseStore } from '../leases/store.ts';
import type { Caller } from './snapshotter.ts';

/** The lease of a call, which keeps what the call makes. Methods that write are called inside a transaction. */
export class LeaseResources {
  readonly #leases: LeaseStore;
  readonly #type: string;

  constructor(leases: LeaseStore, snapshotter: string) {
    this.#leases = leases;
    this.#type = `snapshots/${snapshotter}`;
  }

  /** Throws NotFound if the call names a lease that is not there. */
  check({ namespace, lease }: Caller): void {
    if (lease === undefined) return;
    try {
      this.#leases.resources(namespace, lease);
    } catch (error) {
      throw isNotFound(error) ? notFound('lease does not exist') : error;
    }
  }

  /** After `check`. */
  add(caller: Caller, key: string): void {
    protect(this.#leases, caller, { type: this.#type, id: key });
  }

  /** A lease that is not there does not keep it. */
  remove(caller: Caller, key: string): void {
    release(this.#leases, caller, { type: this.#type, id: key });
  }
}
