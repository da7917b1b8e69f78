import { isNotFound, notFound } from '../../common/errdefs.ts';
import type { LeaseResource } from './resource.ts';
import type { LeaseStore } from './store.ts';

/** Where a call makes something, and the lease that keeps it from being collected meanwhile. */
export interface Holder {
  readonly namespace: string;
  /** As the call names it; undefined: it names none. */
  readonly lease: string | undefined;
}

/**
 * Adds what a call makes to its lease; inside the transaction that makes it. Gives whether there is a lease. Throws
 * NotFound in containerd's words for one that is not there.
 */
export const protect = (leases: LeaseStore, { namespace, lease }: Holder, resource: LeaseResource): boolean => {
  if (lease === undefined) return false;
  try {
    leases.addResource(namespace, lease, resource);
  } catch (error) {
    if (isNotFound(error)) throw notFound('lease does not exist', undefined, { cause: error });
    throw error;
  }
  return true;
};

/** Takes from the call's lease what is no more; one that is not there has nothing to give back. */
export const release = (leases: LeaseStore, { namespace, lease }: Holder, resource: LeaseResource): void => {
  if (lease === undefined) return;
  try {
    leases.removeResource(namespace, lease, resource);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
};
