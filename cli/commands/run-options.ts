import { realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { SpecOptions } from '../../client/spec/create-spec.ts';
import type { MountSpec } from '../../client/spec/runtime-spec.ts';
import { findUser } from '../../client/spec/users.ts';
import { detachKeysOption } from '../parse/detach-keys.ts';
import { parseIdentifier } from '../parse/identifier.ts';
import { parseMount, parseVolume } from '../parse/mount.ts';
import { collect, collectEnv, collectPair } from '../parse/pairs.ts';
import { parseCount } from '../parse/count.ts';
import { parseSize } from '../parse/size.ts';

export interface RunOptions {
  /** Absolute, no symbolic link. */
  readonly rootfs: string;
  readonly name?: string;
  readonly detach?: true;
  readonly json?: true;
  readonly detachKeys: Buffer;
  readonly rm?: true;
  readonly interactive?: true;
  readonly tty?: true;
  readonly env?: ReadonlyMap<string, string>;
  readonly volume?: readonly MountSpec[];
  readonly mount?: readonly MountSpec[];
  readonly user?: string;
  readonly workdir?: string;
  readonly hostname?: string;
  readonly label?: ReadonlyMap<string, string>;
  readonly annotation?: ReadonlyMap<string, string>;
  /** Bytes. */
  readonly memory?: number;
  readonly cpus?: number;
  readonly pidsLimit?: number;
  readonly privileged?: true;
  readonly readOnly?: true;
  readonly network?: 'none' | 'host';
  readonly pid?: 'private' | 'host';
  readonly runtime?: string;
}

export const addRunOptions = (command: Command): Command =>
  command
    .addOption(new Option('--rootfs <dir>', 'directory with the root file system').argParser(parseRootfs))
    .option('--name <id>', 'name of the container; default: 12 random hex digits', parseIdentifier)
    .option('-d, --detach', 'print the id and leave the container to itself')
    .option('--json', 'with -d: the id as a JSON document')
    .addOption(detachKeysOption())
    .option('--rm', 'remove the container when it has ended, or when signals make us leave it')
    .option('-i, --interactive', 'give it our input')
    .option('-t, --tty', 'give it a terminal')
    .option('-e, --env <name=value>', 'environment variable; NAME alone passes ours on', collectEnv)
    .option('-v, --volume <source:target[:ro]>', 'show a directory or file of this machine in it', collect(parseVolume))
    .option('--mount <fields>', 'mount: type=bind|tmpfs,source=…,target=…,readonly', collect(parseMount))
    .option('-u, --user <name[:group]>', 'user and group, by name or number, as its own /etc/passwd has them')
    .option('-w, --workdir <dir>', 'working directory in it')
    .option('--hostname <name>', 'host name; default: the id')
    .option('-l, --label <name=value>', 'label of the container', collectPair)
    .option('--annotation <name=value>', 'annotation for the runtime', collectPair)
    .option('-m, --memory <size>', 'most memory: 512m', parseSize)
    .option('--cpus <number>', 'most CPU time, in CPUs: 0.5', parseCpus)
    .option('--pids-limit <number>', 'most processes', parseCount)
    .option('--privileged', 'all capabilities and devices of this machine: no isolation from what it does')
    .option('--read-only', 'its root file system cannot be written')
    .addOption(
      new Option('--net, --network <mode>', 'its network: only a loopback device, or that of this machine').choices([
        'none',
        'host',
      ]),
    )
    .addOption(new Option('--pid <mode>', 'which processes it sees').choices(['private', 'host']))
    .option('--runtime <name>', 'runtime, or absolute path of a shim; default: io.containerd.runc.v2');

/** What of the options goes into the specification. Names of users are looked up in the root file system. */
export const specOptions = (options: RunOptions): Omit<SpecOptions, 'namespace' | 'id' | 'args'> => {
  const { rootfs, env, user, workdir, hostname, annotation, memory, cpus, pidsLimit, network, pid } = options;
  return {
    rootfs,
    mounts: [...(options.volume ?? []), ...(options.mount ?? [])],
    terminal: options.tty === true,
    privileged: options.privileged === true,
    readonlyRootfs: options.readOnly === true,
    ...(env === undefined ? {} : { env }),
    ...(user === undefined ? {} : { user: findUser(rootfs, user) }),
    ...(workdir === undefined ? {} : { cwd: workdir }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(annotation === undefined ? {} : { annotations: annotation }),
    ...(memory === undefined ? {} : { memoryBytes: memory }),
    ...(cpus === undefined ? {} : { cpus }),
    ...(pidsLimit === undefined ? {} : { pidsMax: pidsLimit }),
    ...(network === undefined ? {} : { network }),
    ...(pid === undefined ? {} : { pid }),
  };
};

const parseRootfs = (text: string): string => {
  const path = resolve(text);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new InvalidArgumentError('There is no such directory.');
  }
  return realpathSync(path);
};

const parseCpus = (text: string): number => {
  const cpus = Number(text);
  if (!(cpus > 0) || !Number.isFinite(cpus)) throw new InvalidArgumentError('It is a number above 0.');
  return cpus;
};
