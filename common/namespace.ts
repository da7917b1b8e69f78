import { about, failedPrecondition } from './errdefs.ts';
import { checkIdentifier } from './identifiers.ts';

/** gRPC metadata key of the namespace. */
export const NAMESPACE_KEY = 'containerd-namespace';
/** ttrpc metadata key of the namespace. */
export const NAMESPACE_KEY_TTRPC = 'containerd-namespace-ttrpc';

/** The namespace that a call names; a call without one is refused with FailedPrecondition, as in containerd. */
export const requireNamespace = (value: string | undefined): string => {
  if (value === undefined || value === '') throw failedPrecondition('namespace is required');
  try {
    return checkIdentifier(value);
  } catch (error) {
    throw about('namespace validation', error);
  }
};
