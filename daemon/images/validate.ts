import { digestFault } from '../../common/digest.ts';
import { invalidArgument } from '../../common/errdefs.ts';
import { checkLabels } from '../../common/labels.ts';
import type { Image } from './store.ts';

/** Refuses what containerd refuses, in its words. */
export const validateImage = ({ name, labels, target }: Image): void => {
  if (name === '') throw invalidArgument('image name must not be empty');
  checkLabels('image.Labels', labels);
  const fault = digestFault(target.digest);
  if (fault !== undefined) throw invalidArgument(`Target.Digest ${JSON.stringify(target.digest)} invalid: ${fault}`);
  if (target.size <= 0n) throw invalidArgument('Target.Size must be greater than zero');
  if (target.mediaType === '') throw invalidArgument('Target.MediaType must be set');
};
