import { existsSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fromSources, launcher, repository, systemEnv } from './repository.ts';
import type { Bed } from './temp.ts';

/** The runtime name by which any containerd finds our shim on its PATH. */
export const OUR_RUNTIME = 'io.containerd.holdfast.v1';

/** A PATH on which a containerd finds our shim. */
export const pathWithOurShim = (bed: Bed): string =>
  [fromSources ? sourceLauncher(bed) : dirname(launcher('containerd-shim-holdfast-v1')), systemEnv().PATH].join(
    delimiter,
  );

/** Absolute path of containerd's own shim: as a runtime's name it means that binary and no other. */
export const goShim = (): string => {
  const folders = (systemEnv().PATH ?? '').split(delimiter);
  const path = folders.map((folder) => join(folder, 'containerd-shim-runc-v2')).find((file) => existsSync(file));
  if (path === undefined) throw new Error('no containerd-shim-runc-v2: install the package containerd');
  return path;
};

const sourceLauncher = (bed: Bed): string => {
  const folder = bed.folder('shim-bin');
  const command = `exec ${process.execPath} --no-warnings ${join(repository, 'shim/main.ts')} "$@"`;
  writeFileSync(join(folder, 'containerd-shim-holdfast-v1'), `#!/bin/sh\n${command}\n`, { mode: 0o755 });
  return folder;
};
