import { createHash } from 'node:crypto';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { applyLayer } from '../../daemon/diff/apply-layer.ts';
import type { ApplyJob, ApplyResult, CompareJob } from '../../daemon/diff/jobs.ts';
import { writeLayer } from '../../daemon/diff/pack/write-layer.ts';
import {
  getXattrBelow,
  listDirectory,
  listXattrsBelow,
  openBelow,
  readLinkBelow,
  statBelow,
} from '../../native/index.ts';

/** A folder for this file, which is removed after its last test. */
export const workFolder = (): { readonly path: string; fresh(): string } => {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-diff-'));
  after(() => rmSync(path, { recursive: true, force: true }));
  return { path, fresh: () => mkdtempSync(join(path, 'd-')) };
};

export const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Unpacks bytes into a directory. */
export const apply = async (bytes: Uint8Array, root: string, more: Partial<ApplyJob> = {}): Promise<ApplyResult> => {
  const blob = `${root}.blob`;
  writeFileSync(blob, bytes);
  try {
    return await applyLayer(
      {
        kind: 'apply',
        blob,
        digest: sha256(bytes),
        reading: 'by-content',
        root,
        lower: undefined,
        devices: true,
        syncFs: false,
        ...more,
      },
      () => undefined,
    );
  } finally {
    rmSync(blob);
  }
};

/** The layer that makes `upper` of `lower`. */
export const compare = async (lower: string, upper: string, more: Partial<CompareJob> = {}): Promise<Buffer> => {
  const pieces: Buffer[] = [];
  const job: CompareJob = {
    kind: 'compare',
    lower,
    upper,
    overlay: false,
    compression: 'none',
    latestTime: undefined,
    ...more,
  };
  const give = async (bytes: Buffer): Promise<void> => void pieces.push(Buffer.from(bytes));
  const result = await writeLayer(job, give, () => undefined);
  if (result === 'whole-tree') throw new Error('whole-tree');
  return Buffer.concat(pieces);
};

/** Everything that a layer can say of a tree: path → one line. Paths are bytes. */
export const describe = (root: string): Record<string, string> => {
  const lines: Record<string, string> = {};
  const seen = new Map<string, string>();
  const fd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  const walk = (directory: number, prefix: string): void => {
    for (const name of listDirectory(directory).sort()) {
      const path = prefix + name;
      const about = statBelow(directory, name);
      if (about === undefined) continue;
      const type = about.mode & constants.S_IFMT;
      const key = `${about.device}:${about.inode}`;
      const first = about.links > 1 && type !== constants.S_IFDIR ? seen.get(key) : undefined;
      if (first === undefined) seen.set(key, path);
      const parts = [about.mode.toString(8), `${about.uid}:${about.gid}`, String(about.mtime)];
      if (type === constants.S_IFREG) parts.push(sha256(readEntry(directory, name)).slice(7, 23));
      if (type === constants.S_IFLNK) parts.push(`-> ${readLinkBelow(directory, name)}`);
      if (type === constants.S_IFCHR || type === constants.S_IFBLK) parts.push(`${about.major}:${about.minor}`);
      for (const attribute of listXattrsBelow(directory, name).sort()) {
        if (!/^(user\.|security\.capability$|trusted\.overlay\.opaque$)/.test(attribute)) continue;
        parts.push(`${attribute}=${getXattrBelow(directory, name, attribute)?.toString('hex')}`);
      }
      if (first !== undefined) parts.push(`= ${first}`);
      lines[path] = parts.join(' ');
      if (type !== constants.S_IFDIR) continue;
      const inside = openBelow(directory, name, { flags: constants.O_RDONLY | constants.O_DIRECTORY });
      walk(inside, `${path}/`);
      closeSync(inside);
    }
  };
  walk(fd, '');
  closeSync(fd);
  return lines;
};

const readEntry = (directory: number, name: string): Buffer => {
  const fd = openBelow(directory, name, { flags: constants.O_RDONLY });
  try {
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
};
