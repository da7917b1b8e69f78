const NO_IMAGES = 'there are no images yet: "holdfast run --rootfs DIR" runs from a root file system';
const NO_NETWORKS = 'there are no networks but "--network none" and "--network host" of "holdfast run"';
const RUN = '"holdfast run" creates and starts a container in one go';

/** Verbs that people know from Docker, ctr or nerdctl, and what to do here instead. */
const VERBS: ReadonlyMap<string, string> = new Map([
  ...['image', 'images', 'pull', 'push', 'build', 'commit', 'tag', 'rmi', 'save', 'load', 'import', 'export', 'history']
    .concat('search', 'login', 'logout', 'manifest', 'content', 'snapshots', 'diff')
    .map((verb) => [verb, NO_IMAGES] as const),
  ...['network', 'port'].map((verb) => [verb, NO_NETWORKS] as const),
  ...['container', 'containers', 'c', 'ls', 'list', 'task', 'tasks', 't'].map(
    (verb) => [verb, '"holdfast ps" lists containers; the other verbs stand alone, as in "holdfast rm ID"'] as const,
  ),
  ['create', RUN],
  ['start', `${RUN}; one that has ended is run anew: "holdfast rm ID", then "holdfast run --name ID"`],
  ['restart', '"holdfast stop ID" and "holdfast rm ID", then "holdfast run --name ID"'],
  ['rename', 'an id is for good: "holdfast run --name ID" chooses it'],
  ['update', 'limits are set by "holdfast run --memory --cpus --pids-limit"'],
  ['cp', '"holdfast exec ID tar -c PATH" reads out, "holdfast exec -i ID tar -x" writes in'],
  ['volume', '"holdfast run -v /a/directory:/in/it" shows a directory of this machine in a container'],
  ['system', '"holdfast info" shows what the daemon has and uses, "holdfast events" what happens'],
  ['version', '"holdfast --version" is that of the client, "holdfast info" shows the daemon\'s'],
  ['metrics', '"holdfast stats" shows what containers use'],
  ['namespace', '"holdfast info" lists the namespaces; -n chooses one'],
  ['namespaces', '"holdfast info" lists the namespaces; -n chooses one'],
  ['resume', '"holdfast unpause ID"'],
  ['delete', '"holdfast rm ID"'],
  ['plugins', '"holdfast info --json" lists the plugins'],
]);

/** For a verb that is none here: what to do instead; undefined if it is not known elsewhere either. */
export const foreignVerb = (verb: string): string | undefined => {
  const instead = VERBS.get(verb);
  return instead === undefined ? undefined : `there is no "holdfast ${verb}": ${instead}`;
};
