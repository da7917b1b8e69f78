import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { notFound } from '../../common/errdefs.ts';
import type { Service } from '../../daemon/call.ts';
import { type Config, loadConfig } from '../../daemon/config.ts';
import { makeDiff } from '../../daemon/diff-part.ts';
import type { DiffContent } from '../../daemon/diff/content.ts';
import { grpcServer, listen } from '../../daemon/server.ts';
import { versionService } from '../../daemon/services/version.ts';
import { DiffDefinition } from '../../proto/gen/containerd/services/diff/v1/diff.ts';
import { type Descriptor, type Mount } from '../../proto/gen/containerd/types/types.ts';
import { RawClient, type Stub } from '../harness/grpc.ts';
import type { Bed } from '../harness/temp.ts';
import { sha256 } from './diff-harness.ts';

export const GZIP = 'application/vnd.oci.image.layer.v1.tar+gzip';
export const TAR = 'application/vnd.oci.image.layer.v1.tar';

const BLOBS = 'io.containerd.content.v1.content/blobs/sha256';

/** A content store of plain files, with labels in memory. */
export class FileContent implements DiffContent {
  readonly labels = new Map<string, ReadonlyMap<string, string>>();
  /** Refs that were aborted. */
  readonly aborted: string[] = [];
  readonly #root: string;
  readonly #more: string | undefined;

  /** `root` is laid out as a daemon's; `more` may be another's, containerd's too, which is only read. */
  constructor(root: string, more?: string) {
    this.#root = join(root, BLOBS);
    this.#more = more === undefined ? undefined : join(more, BLOBS);
    mkdirSync(this.#root, { recursive: true });
  }

  path(digest: string): string {
    const hex = digest.slice('sha256:'.length);
    const own = join(this.#root, hex);
    return this.#more === undefined || existsSync(own) ? own : join(this.#more, hex);
  }

  put(bytes: Uint8Array, mediaType: string): Descriptor {
    const digest = sha256(bytes);
    writeFileSync(join(this.#root, digest.slice('sha256:'.length)), bytes);
    return { mediaType, digest, size: BigInt(bytes.length), annotations: new Map() };
  }

  reader(_namespace: string, digest: string): { readonly path: string } {
    const path = this.path(digest);
    if (!existsSync(path)) throw notFound(`content digest ${digest}`);
    return { path };
  }

  async ingest(_namespace: string, ref: string): ReturnType<DiffContent['ingest']> {
    const pieces: Uint8Array[] = [];
    return {
      write: async (bytes) => void pieces.push(bytes),
      commit: async ({ labels } = {}) => {
        const { digest } = this.put(Buffer.concat(pieces), '');
        this.labels.set(digest, labels ?? new Map());
        return digest;
      },
      abort: async () => void this.aborted.push(ref),
    };
  }
}

export interface DiffServer {
  readonly config: Config;
  readonly address: string;
  readonly diff: Stub<typeof DiffDefinition>;
  readonly close: () => Promise<void>;
}

/** Serves Diff, and Version, on a socket in the bed. */
export const startDiffServer = async (bed: Bed, content: DiffContent, name = 'diff'): Promise<DiffServer> => {
  const folder = bed.folder(name);
  writeFileSync(join(folder, 'c.toml'), '');
  const config = loadConfig(
    {
      root: join(folder, 'root'),
      state: join(folder, 'state'),
      address: join(folder, 's'),
      config: join(folder, 'c.toml'),
    },
    () => undefined,
  );
  mkdirSync(config.state, { recursive: true });
  const log = pino({ level: 'silent' });
  const part = await makeDiff({ config, log }, content);
  const stopping = new AbortController();
  const services: readonly Service[] = [versionService(), ...part.services];
  const server = grpcServer(services, config, { log, stopping: stopping.signal, cut: stopping.signal });
  const listener = await listen(config.address, { config, log }, (socket, peer) => server.accept(socket, peer));
  const client = new RawClient(config.address, 'test');
  const close = async (): Promise<void> => {
    client.close();
    listener.close();
    await part.close();
    await server.close(5_000);
  };
  return { config, address: config.address, diff: client.service(DiffDefinition), close };
};

export const bind = (source: string, ...options: readonly string[]): Mount[] => [
  { type: 'bind', source, target: '', options: ['rbind', ...options] },
];

export const overlay = (
  lower: readonly string[],
  upper?: { readonly upper: string; readonly work: string },
): Mount[] => [
  {
    type: 'overlay',
    source: 'overlay',
    target: '',
    options: [
      ...(upper === undefined ? [] : [`workdir=${upper.work}`, `upperdir=${upper.upper}`]),
      `lowerdir=${lower.join(':')}`,
    ],
  },
];
