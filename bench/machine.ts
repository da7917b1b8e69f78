import { spawnSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import { VERSION } from '../common/version.ts';
import { systemEnv } from '../test/harness/repository.ts';

/** What a reader must know of the machine to make sense of a figure. */
export const machine = (): [name: string, value: string][] => [
  ['processor', `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`],
  ['memory', `${(totalmem() / 2 ** 30).toFixed(1)} GiB`],
  ['kernel', release()],
  ['holdfast', `${VERSION}, Node ${process.version}`],
  ['containerd', firstLine('containerd', '--version')],
  ['runc', firstLine('runc', '--version')],
];

const firstLine = (program: string, flag: string): string =>
  spawnSync(program, [flag], { encoding: 'utf8', env: systemEnv() }).stdout?.split('\n')[0] ?? 'unknown';
