import { readFileSync, rmdirSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** How often, and how many ms apart, a cgroup that is busy is tried again: its last process may be about to end. */
const TRIES = 40;
const RETRY_MS = 25;

/**
 * Removes the cgroups of a container whose creation was cut: a runtime that was killed then has written nothing down yet,
 * and its own delete finds nothing to do. Only empty ones can be removed, so what others use stays. With systemd's
 * driver there is nothing to remove: systemd does.
 */
export const removeCgroups = async (bundle: string): Promise<void> => {
  const path = cgroupsPath(bundle);
  if (path === undefined) return;
  let left = mountPoints().map((mount) => join(mount, path));
  for (let tries = 0; left.length > 0 && tries < TRIES; tries += 1) {
    if (tries > 0) await sleep(RETRY_MS);
    left = left.filter((directory) => !removed(directory));
  }
};

/** `linux.cgroupsPath` where it is a path below the hierarchies' roots. */
const cgroupsPath = (bundle: string): string | undefined => {
  try {
    const spec: { linux?: { cgroupsPath?: string } } = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8'));
    const path = normalize(spec.linux?.cgroupsPath ?? '/');
    return path.startsWith('/') && path !== '/' ? path : undefined;
  } catch {
    return undefined; // without a spec nothing was created
  }
};

const mountPoints = (): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .flatMap((line) => line.split(' ')[4] ?? []);

const removed = (directory: string): boolean => {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ENOENT';
  }
};
