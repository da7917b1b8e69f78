import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { constants as zlibConstants, createGzip, createZstdCompress } from 'node:zlib';
import { unknownError } from '../../../common/errdefs.ts';
import { type Inode, openBelow, readLinkBelow, statBelow } from '../../../native/index.ts';
import type { CompareJob, CompareResult } from '../jobs.ts';
import type { Compression } from '../media-types.ts';
import { entryTypes, paddingOf } from '../tar/format.ts';
import { archiveEnd, writeHeader, type WrittenEntry } from '../tar/writer.ts';
import { OPAQUE_MARKER, WHITEOUT_PREFIX } from '../whiteouts.ts';
import { type Change, findChanges } from './changes.ts';
import { openFile } from './same.ts';
import { layerXattrs, type OpenDirectory, typeOf } from './tree.ts';

/** Pieces that go through the compressor, bytes. */
const PIECE_BYTES = 1 << 20;

/** Where the bytes of a layer go, compressed; resolves when there is room for more. */
export type Give = (bytes: Buffer) => Promise<void>;

/** Writes what `upper` changes of `lower` as a layer. The same trees give the same bytes. */
export const writeLayer = async (job: CompareJob, give: Give, check: () => void): Promise<CompareResult> => {
  using open = new DisposableStack();
  const lower = openRoot(open, job.lower);
  const upper = openRoot(open, job.upper);
  const changes = findChanges({ lower, upper, overlay: job.overlay, check });
  if (changes === 'whole-tree') return changes;
  const diffId = createHash('sha256');
  let size = 0;
  await compress(job.compression, give, async (write) => {
    for (const bytes of inPieces(archive(changes, { upper, latestTime: job.latestTime }))) {
      check();
      diffId.update(bytes);
      size += bytes.length;
      await write(bytes);
    }
  });
  return { diffId: `sha256:${diffId.digest('hex')}`, size };
};

const openRoot = (open: DisposableStack, path: string): OpenDirectory => {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  open.defer(() => closeSync(fd));
  return { fd };
};

interface Source {
  readonly upper: OpenDirectory;
  readonly latestTime: bigint | undefined;
}

/** Header and data of every change. */
function* archive(changes: readonly Change[], source: Source): Generator<Buffer> {
  const links = new HardLinks();
  for (const change of changes) {
    if (change.kind === 'whiteout') yield writeHeader(marker(beside(change.path, WHITEOUT_PREFIX)));
    else if (change.kind === 'opaque') yield writeHeader(marker(`${change.path}/${OPAQUE_MARKER}`));
    else yield* entry(change, source, links);
  }
  yield archiveEnd();
}

/** `a/b` → `a/.wh.b` */
const beside = (path: string, prefix: string): string => {
  const slash = path.lastIndexOf('/') + 1;
  return path.slice(0, slash) + prefix + path.slice(slash);
};

/** An empty file of the beginning of time, as containerd writes them. */
const marker = (name: string): WrittenEntry => ({
  type: entryTypes.file,
  name,
  link: '',
  mode: 0,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0n,
  major: 0,
  minor: 0,
  xattrs: new Map(),
});

function* entry(
  change: Change & { readonly kind: 'written' | 'unchanged-link' },
  source: Source,
  links: HardLinks,
): Generator<Buffer> {
  const { path, inode } = change;
  using place = openParent(source.upper, path);
  const written = describe(path, inode, { place, latestTime: source.latestTime });
  const first = links.first(inode);
  if (first !== undefined) {
    yield writeHeader({ ...written, type: entryTypes.link, link: first, size: 0, xattrs: new Map() });
    return;
  }
  if (change.kind === 'unchanged-link') return links.wait(inode, path);
  yield writeHeader(written);
  if (written.type === entryTypes.file) yield* content(written, place);
  for (const waiting of links.add(inode, path)) {
    yield writeHeader({ ...written, name: waiting, type: entryTypes.link, link: path, size: 0, xattrs: new Map() });
  }
}

/** Names of the inodes that have several. */
class HardLinks {
  readonly #written = new Map<string, string>();
  readonly #waiting = new Map<string, string[]>();

  /** The name under which it is in the archive already. */
  first(inode: Inode): string | undefined {
    return this.#written.get(key(inode));
  }

  /** An unchanged name: if a changed one comes, both are to be the same file again. */
  wait(inode: Inode, path: string): void {
    this.#waiting.set(key(inode), [...(this.#waiting.get(key(inode)) ?? []), path]);
  }

  /** Gives the names that waited. */
  add(inode: Inode, path: string): readonly string[] {
    if (inode.links < 2 || typeOf(inode) === constants.S_IFDIR) return [];
    this.#written.set(key(inode), path);
    return this.#waiting.get(key(inode)) ?? [];
  }
}

const key = ({ device, inode }: Inode): string => `${device}:${inode}`;

const TYPES: ReadonlyMap<number, string> = new Map([
  [constants.S_IFREG, entryTypes.file],
  [constants.S_IFDIR, entryTypes.directory],
  [constants.S_IFLNK, entryTypes.symlink],
  [constants.S_IFCHR, entryTypes.character],
  [constants.S_IFBLK, entryTypes.block],
  [constants.S_IFIFO, entryTypes.fifo],
]);

interface Place extends OpenDirectory {
  readonly name: string;
}

const describe = (
  path: string,
  inode: Inode,
  { place, latestTime }: { readonly place: Place; readonly latestTime: bigint | undefined },
): WrittenEntry => {
  const type = TYPES.get(typeOf(inode));
  if (type === undefined) throw unknownError(`${path}: unknown type of file`);
  const isDirectory = type === entryTypes.directory;
  const isDevice = type === entryTypes.character || type === entryTypes.block;
  return {
    type,
    name: isDirectory ? `${path}/` : path,
    link: type === entryTypes.symlink ? readLinkBelow(place.fd, place.name) : '',
    mode: inode.mode & 0o7777,
    uid: inode.uid,
    gid: inode.gid,
    size: type === entryTypes.file ? inode.size : 0,
    mtime: latestTime !== undefined && inode.mtime > latestTime ? latestTime : inode.mtime,
    major: isDevice ? inode.major : 0,
    minor: isDevice ? inode.minor : 0,
    xattrs: layerXattrs(place, place.name),
  };
};

/** Through no symlink: what was a directory when the changes were found must still be one. */
const openParent = (root: OpenDirectory, path: string): Place & Disposable => {
  const slash = path.lastIndexOf('/');
  const fd = openBelow(root.fd, slash === -1 ? '.' : path.slice(0, slash), {
    flags: constants.O_RDONLY | constants.O_DIRECTORY,
    resolve: { beneath: true, noSymlinks: true },
  });
  return { fd, name: path.slice(slash + 1), [Symbol.dispose]: () => closeSync(fd) };
};

/** As many bytes as the header says; a file that changes meanwhile would break the archive. */
function* content({ name, size }: WrittenEntry, place: Place): Generator<Buffer> {
  const fd = openFile({ directory: place, name: place.name });
  try {
    for (let left = size; left > 0;) {
      const buffer = Buffer.allocUnsafe(Math.min(left, PIECE_BYTES));
      const read = readSync(fd, buffer, 0, buffer.length, null);
      if (read === 0) throw unknownError(`${name}: short write copying file: it became smaller meanwhile`);
      left -= read;
      yield buffer.subarray(0, read);
    }
    const now = statBelow(fd, '')?.size;
    if (now !== undefined && now > size) throw unknownError(`${name}: it became larger meanwhile`);
  } finally {
    closeSync(fd);
  }
  const padding = paddingOf(size);
  if (padding > 0) yield Buffer.alloc(padding);
}

/** Headers are small: they are gathered, so that not each has its own way through the compressor. */
function* inPieces(parts: Iterable<Buffer>): Generator<Buffer> {
  let gathered: Buffer[] = [];
  let bytes = 0;
  for (const part of parts) {
    gathered.push(part);
    bytes += part.length;
    if (bytes < PIECE_BYTES) continue;
    yield Buffer.concat(gathered);
    gathered = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(gathered);
}

/** Runs `produce`, whose bytes reach `give` compressed. */
const compress = async (
  compression: Compression,
  give: Give,
  produce: (write: Give) => Promise<void>,
): Promise<void> => {
  if (compression === 'none') return produce(give);
  const stream =
    compression === 'gzip'
      ? createGzip({ chunkSize: PIECE_BYTES })
      : createZstdCompress({
          chunkSize: PIECE_BYTES,
          params: { [zlibConstants.ZSTD_c_checksumFlag]: 1 },
        });
  const given = (async () => {
    for await (const bytes of stream as AsyncIterable<Buffer>) await give(bytes);
  })();
  given.catch(() => undefined); // awaited below
  try {
    await produce(async (bytes) => {
      if (!stream.write(bytes)) await Promise.race([once(stream, 'drain'), given]);
    });
    stream.end();
  } catch (error) {
    stream.destroy();
    throw error;
  }
  await given;
};
