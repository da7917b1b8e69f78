// The repository as the guest of `npm run test:vm` sees it: what is committed, what set-up has built, and those of the
// npm packages that run there.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './paths.mjs';

/** Of the packages for development these are needed by the harness of the tests. */
const NEEDED = ['node_modules/node-pty'];
const IMAGE_SIZE = '1G';
const BUILT = ['bin', 'dist', 'native/build/Release/holdfast.node'];
const PACK_MINUTES_MAX = 5;

/** Folders of npm packages that are there, as the lock file has them. */
const modules = () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  return Object.entries(packages)
    .filter(([path, { dev, devOptional }]) => path !== '' && (!(dev || devOptional) || NEEDED.includes(path)))
    .map(([path]) => path)
    .filter((path) => existsSync(join(root, path)));
};

/** Makes the image in the folder `place` and gives its path; `tests` are the files that the guest is to run. */
export const packRepository = (place, tests) => {
  const options = { cwd: root, encoding: 'utf8', timeout: PACK_MINUTES_MAX * 60_000, maxBuffer: 64 << 20 };
  const tree = join(place, 'repository');
  const image = join(place, 'repository.ext4');
  const own = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], options);
  const paths = [...own.split('\0').filter((path) => path !== '' && existsSync(join(root, path))), ...BUILT];
  mkdirSync(tree);
  // Hard links: the image is a copy already.
  const link = (list, folder) =>
    execFileSync('xargs', ['-0', 'cp', '-al', '--parents', '-t', folder], { ...options, input: list.join('\0') });
  link([...paths, ...modules()], tree);
  writeFileSync(join(tree, 'vm-tests'), `${tests.join('\n')}\n`);
  execFileSync('mke2fs', ['-q', '-t', 'ext4', '-O', '^has_journal', '-m', '0', '-d', tree, image, IMAGE_SIZE], options);
  rmSync(tree, { recursive: true });
  return image;
};
