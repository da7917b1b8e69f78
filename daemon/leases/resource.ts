import { digestFault } from '../../common/digest.ts';
import { invalidArgument, unimplemented } from '../../common/errdefs.ts';

export interface LeaseResource {
  /** `content`, `ingests`, `images` or `snapshots/<snapshotter>`. */
  readonly type: string;
  readonly id: string;
}

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
  const fault = digestFault(digest);
  if (fault !== undefined) throw invalidArgument(`invalid content resource id ${digest}: ${fault}`);
};
