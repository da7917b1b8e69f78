// What native-mounts.test.ts runs in a mount namespace of its own.
import { closeSync, mkdirSync, openSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ErrnoError, mount, mountFlags, pivotRoot, unmount } from '../../native/index.ts';

const [, , task = '', folder = ''] = process.argv;

const tmpfs = (target: string, data = ''): Promise<void> =>
  mount({ source: 'none', target, type: 'tmpfs', flags: mountFlags.noSuid | mountFlags.noDev, data });

/** An empty file system on the folder, which goes with the namespace. */
const scratch = (): Promise<void> => tmpfs(folder);

const mountsBelow = (path: string): string[] =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.split(' ')[4]?.startsWith(path));

/** Name, code and system call of the failure that must come. */
const failure = async (call: () => Promise<void>): Promise<[string, number, string]> => {
  try {
    await call();
  } catch (error) {
    if (error instanceof ErrnoError) return [error.errnoName, error.code, error.syscall];
    throw error;
  }
  throw new Error('it did not fail');
};

const failureText = async (call: () => Promise<void>): Promise<[string, number, string, string]> => {
  let message = '';
  const described = await failure(async () => {
    try {
      await call();
    } catch (error) {
      message = error instanceof Error ? error.message : '';
      throw error;
    }
  });
  return [...described, message];
};

const tasks: Record<string, () => Promise<unknown>> = {
  mount: async () => {
    await scratch();
    const [target, other] = [join(folder, 'target'), join(folder, 'other')];
    mkdirSync(target);
    mkdirSync(other);
    await tmpfs(target, 'size=64k');
    writeFileSync(join(target, 'file'), 'inside');
    const [, , , , , options, , type, , superOptions] = (mountsBelow(target)[0] ?? '').split(' ');
    const size = superOptions?.split(',').find((option) => option.startsWith('size='));
    const mounted = `${options?.replace(',relatime', '')} ${type} ${size}`;
    const flags = mountFlags.remount | mountFlags.readOnly | mountFlags.noSuid | mountFlags.noDev;
    await mount({ source: 'none', target, type: '', flags, data: '' });
    const remounted = ((): unknown => {
      try {
        return writeFileSync(join(target, 'second'), '');
      } catch (error) {
        return error instanceof Error && 'code' in error ? error.code : error;
      }
    })();
    await mount({ source: target, target: other, type: '', flags: mountFlags.bind, data: '' });
    const bound = readFileSync(join(other, 'file'), 'utf8');
    await unmount(other);
    await unmount(target, { noFollow: true });
    return { mounted, remounted, bound, unmounted: mountsBelow(target) };
  },
  unmount: async () => {
    await scratch();
    const [target, link] = [join(folder, 'target'), join(folder, 'link')];
    mkdirSync(target);
    symlinkSync(target, link);
    const noMount = await failure(() => unmount(target));
    const absent = await failure(() => unmount(join(folder, 'absent')));
    await tmpfs(target);
    const held = openSync(join(target, 'held'), 'w');
    const busy = await failure(() => unmount(target));
    const symlink = await failure(() => unmount(link, { noFollow: true }));
    await unmount(target, { detach: true });
    closeSync(held);
    return { busy, noMount, absent, symlink, detached: mountsBelow(target).length === 0 };
  },
  refusals: async () => ({
    longData: await failureText(() => tmpfs(folder, 'x'.repeat(4096))),
    unknownType: await failureText(() => mount({ source: '', target: folder, type: 'no-such', flags: 0, data: '' })),
    absent: await failureText(() => tmpfs('/nowhere/at-all')),
    wrongType: await failureText(() => tmpfs('')),
  }),
  pivot: async () => {
    await scratch();
    mkdirSync(join(folder, 'old'));
    const refused = await failure(() => pivotRoot(join(folder, 'old'), join(folder, 'old')));
    writeFileSync(join(folder, 'marker'), '');
    await pivotRoot(folder, join(folder, 'old'));
    const root = readdirSync('/').sort();
    await pivotRoot('/old', join('/old', folder));
    return { refused, root, back: readdirSync(folder).sort() };
  },
  concurrent: async () => {
    await scratch();
    const targets = Array.from({ length: 20 }, (_, index) => join(folder, `target-${index}`));
    for (const target of targets) mkdirSync(target);
    let ticked = false;
    setImmediate(() => (ticked = true));
    await Promise.all(targets.map((target) => tmpfs(target)));
    return { mounted: mountsBelow(join(folder, 'target-')).length, ticked };
  },
};

const result = await tasks[task]?.();
console.log(JSON.stringify(result));
