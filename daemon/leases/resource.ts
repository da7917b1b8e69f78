import { invalidArgument, unimplemented } from '../../common/errdefs.ts';

export interface LeaseResource {
  /** `content`, `ingests`, `images` or `snapshots/<snapshotter>`. */
  readonly type: string;
  readonly id: string;
}

/** Digest algorithms and the length of their value, hex digits. Source: OCI image spec, descriptor. */
const DIGEST_HEX: ReadonlyMap<string, number> = new Map([
  ['sha256', 64],
  ['sha384', 96],
  ['sha512', 128],
]);

/** Refuses a resource whose type is not known, or whose id cannot be of its type. */
export const checkLeaseResource = (resource: LeaseResource): void => {
  if (resource.id === '') throw invalidArgument('resource id must not be empty');
  const [kind = '', ...rest] = resource.type.split('/');
  switch (kind) {
    case 'content':
    case 'ingests':
    case 'images':
      if (rest.length > 0) throw invalidArgument(`invalid resource type ${resource.type}`);
      if (kind === 'content') checkDigest(resource.id);
      return;
    case 'snapshots':
      if (rest.length !== 1) throw invalidArgument(`invalid snapshot resource type ${resource.type}`);
      return;
    default:
      throw unimplemented(`resource type ${resource.type} not supported yet`);
  }
};

const checkDigest = (digest: string): void => {
  const match = /^([a-z0-9]+(?:[+._-][a-z0-9]+)*):([A-Za-z0-9=_-]+)$/.exec(digest);
  const [, algorithm = '', value = ''] = match ?? [];
  const refuse = (reason: string): Error => invalidArgument(`invalid content resource id ${digest}: ${reason}`);
  if (match === null) throw refuse('invalid checksum digest format');
  const length = DIGEST_HEX.get(algorithm);
  if (length === undefined) throw refuse('unsupported digest algorithm');
  if (value.length !== length) throw refuse('invalid checksum digest length');
  if (!/^[a-f0-9]+$/.test(value)) throw refuse('invalid checksum digest format');
};
