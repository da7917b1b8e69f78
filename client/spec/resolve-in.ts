import { lstatSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { invalidArgument } from '../../common/errdefs.ts';

/** More symbolic links than this on one path are a loop. Source: the kernel's limit. */
const LINKS_MAX = 40;

/**
 * Where `path` leads for a process whose root is `root`: links are followed as they would be in there, and `..` never
 * leaves it, so a root file system made by somebody else cannot point at files of the host. Undefined: no such file.
 * For files that nobody changes meanwhile: between the answer and its use a link may be put in.
 */
export const resolveIn = (root: string, path: string): string | undefined => {
  let links = 0;
  const left = parts(path);
  const at: string[] = [];
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    if (name === '..') {
      at.pop();
      continue;
    }
    const stats = lstatSync(join(root, ...at, name), { throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    if (!stats.isSymbolicLink()) {
      at.push(name);
      continue;
    }
    if (++links > LINKS_MAX) throw invalidArgument(`${path} in ${root}: too many symbolic links`);
    const target = readlinkSync(join(root, ...at, name));
    if (target.startsWith('/')) at.length = 0;
    left.unshift(...parts(target));
  }
  return join(root, ...at);
};

const parts = (path: string): string[] => path.split('/').filter((name) => name !== '' && name !== '.');
