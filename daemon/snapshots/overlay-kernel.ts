import { access, readFile, statfs } from 'node:fs/promises';
import { release } from 'node:os';

/** f_type of a tmpfs. Source: linux/magic.h. */
const TMPFS_MAGIC = 0x0102_1994;

/** The first kernel that knows `userxattr`. */
const USERXATTR_SINCE = [5, 11] as const;

/** The options that every overlay is mounted with here: `index=off`, `userxattr`, and those that are configured. */
export const overlayOptions = async (root: string, configured: readonly string[]): Promise<readonly string[]> => {
  const given = (name: string): boolean =>
    configured.some((option) => option === name || option.startsWith(`${name}=`));
  return [
    // A lower directory is shared by many overlays, which the index is there to refuse.
    ...(!given('index') && (await kernelHasIndex()) ? ['index=off'] : []),
    ...(!given('userxattr') && (await needsUserXattr(root)) ? ['userxattr'] : []),
    ...configured,
  ];
};

const kernelHasIndex = (): Promise<boolean> =>
  access('/sys/module/overlay/parameters/index').then(
    () => true,
    () => false,
  );

/** Root of a user namespace may not write the attributes that an overlay uses otherwise. A tmpfs takes neither. */
const needsUserXattr = async (root: string): Promise<boolean> => {
  if (isInitialUserNamespace(await readFile('/proc/self/uid_map', 'utf8'))) return false;
  if ((await statfs(root)).type === TMPFS_MAGIC) return false;
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return major > USERXATTR_SINCE[0] || (major === USERXATTR_SINCE[0] && minor >= USERXATTR_SINCE[1]);
};

/** All ids, each mapped to itself. */
const isInitialUserNamespace = (uidMap: string): boolean => /^\s*0\s+0\s+4294967295\s*$/.test(uidMap);
