import { readFileSync } from 'node:fs';
import { invalidArgument, notFound } from '../../common/errdefs.ts';
import { resolveIn } from './resolve-in.ts';
import type { UserSpec } from './runtime-spec.ts';

/** Largest uid and gid. Source: containerd refuses larger ones, which other programs take for negative. */
const ID_MAX = 2 ** 31 - 1;

/**
 * Finds the user that `-u NAME|UID[:GROUP|GID]` means in the /etc/passwd and /etc/group below `rootfs`. A uid need not
 * be listed there; its group is then 0. The supplementary groups contain the primary one (CVE-2023-25173).
 * Throws notFound for a name that is not listed, invalidArgument for an id that is out of range.
 */
export const findUser = (rootfs: string, text: string): UserSpec => {
  const [user = '', group] = text.split(':', 2);
  if (user === '') throw invalidArgument(`user ${JSON.stringify(text)} is not NAME or UID, with :GROUP if need be`);
  const entry = entries(rootfs, '/etc/passwd').find(([name, , uid]) => name === user || uid === user);
  const uid = idOf(entry?.[2] ?? user, { subject: 'user', name: user, file: '/etc/passwd' });
  const groups = entries(rootfs, '/etc/group');
  if (group !== undefined) {
    const listed = groups.find(([name, , gid]) => name === group || gid === group);
    const gid = idOf(listed?.[2] ?? group, { subject: 'group', name: group, file: '/etc/group' });
    return { uid, gid, additionalGids: [gid] };
  }
  const gid = idOf(entry?.[3] ?? '0', { subject: 'group of the user', name: user, file: '/etc/passwd' });
  const more = groups
    .filter(([, , , members = '']) => entry !== undefined && members.split(',').includes(entry[0] ?? ''))
    .map(([name = '', , id = '']) => idOf(id, { subject: 'group', name, file: '/etc/group' }));
  return { uid, gid, additionalGids: [...new Set([gid, ...more])] };
};

/** The login shell of a uid, by the /etc/passwd below `rootfs`; undefined where it is not listed or has none. */
export const passwdShell = (rootfs: string, uid: number): string | undefined =>
  entries(rootfs, '/etc/passwd').find(([, , id]) => id === String(uid))?.[6] || undefined;

/** The names of the uids that the /etc/passwd below `rootfs` lists. */
export const userNames = (rootfs: string): ReadonlyMap<number, string> =>
  new Map(entries(rootfs, '/etc/passwd').map(([name = '', , uid]) => [Number(uid), name]));

interface Listed {
  readonly subject: string;
  readonly name: string;
  /** Where it was looked for. */
  readonly file: string;
}

const idOf = (text: string, { subject, name, file }: Listed): number => {
  if (!/^\d+$/.test(text)) throw notFound(`${subject} ${JSON.stringify(name)} in the container's ${file}`);
  const id = Number(text);
  if (id > ID_MAX) throw invalidArgument(`${subject} id ${text} is larger than ${ID_MAX}`);
  return id;
};

/** The lines of a file of the passwd family, as fields; none if there is no such file. */
const entries = (rootfs: string, path: string): string[][] => {
  const file = resolveIn(rootfs, path);
  if (file === undefined) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
};
