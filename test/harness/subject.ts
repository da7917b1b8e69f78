import { startContainerd } from './containerd.ts';
import { type Daemon, startHoldfast, type StartOptions } from './daemon.ts';
import type { Bed } from './temp.ts';

/**
 * Starts the daemon that is under test: ours. With `HOLDFAST_COMPAT=containerd` it is a real containerd in its place,
 * to try a test itself: what fails then is the test's own fault, unless it promises more than containerd does.
 */
export const startSubject = (bed: Bed, options: StartOptions = {}): Promise<Daemon> =>
  process.env.HOLDFAST_COMPAT === 'containerd'
    ? startContainerd(bed, { ...options, name: options.name ?? 'ours' })
    : startHoldfast(bed, options);
