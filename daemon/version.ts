import { VERSION } from '../common/version.ts';

/**
 * What the Version service says. nerdctl parses it as a semantic version and warns below 1.6, ctr and dockerd show it;
 * what follows "+" does not count in comparisons. 1.7 is the line of containerd whose API this is: a higher number
 * would promise services that are not there.
 */
export const API_VERSION = `1.7.0+holdfast.${VERSION}`;

/** Where containerd puts its commit. ctr warns of a difference to its own; it is shown, never parsed. */
export const REVISION = `holdfast-${VERSION}`;
