import { accessSync, constants } from 'node:fs';
import { passwdShell } from '../client/spec/users.ts';
import { resolveIn } from '../client/spec/resolve-in.ts';
import type { ProcessSpec } from '../client/spec/runtime-spec.ts';
import { Failure } from './failure.ts';

/** Where a process is to run. */
export interface Place {
  /** The container's root file system as it is now, seen from here. */
  readonly rootfs: string;
  /** With what was asked for. */
  readonly process: ProcessSpec;
}

/** Most people's favourites, in this order. */
const USUAL = ['/bin/bash', '/usr/bin/bash', '/bin/sh', '/usr/bin/sh', '/bin/ash'];

/** The shell of a container's user: $SHELL, what /etc/passwd has, or a usual one; the first that is there. */
export const shellOf = ({ rootfs, process }: Place): string => {
  const variable = process.env?.find((one) => one.startsWith('SHELL='))?.slice('SHELL='.length);
  const wanted = [variable, passwdShell(rootfs, process.user?.uid ?? 0), ...USUAL];
  const shell = wanted.find((path) => path !== undefined && !isRefusal(path) && isProgram(rootfs, path));
  if (shell !== undefined) return shell;
  throw new Failure(`the container has no shell: there is none of ${USUAL.join(', ')}; --shell names another`, {
    status: 127,
  });
};

/** What /etc/passwd has for users who may not log in. */
const isRefusal = (path: string): boolean => /\/(nologin|false|true|sync)$/.test(path);

const isProgram = (rootfs: string, path: string): boolean => {
  const file = path.startsWith('/') ? resolveIn(rootfs, path) : undefined;
  if (file === undefined) return false;
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};
