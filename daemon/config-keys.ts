import { parse, type TomlTable, type TomlValue } from 'smol-toml';
import { invalidArgument, messageOf } from '../common/errdefs.ts';
import type { Config } from './config.ts';
import type { Sharing } from './content/parts.ts';
import { LOG_LEVELS, type LogLevel } from './log.ts';

/** Hears of a setting that is passed over. */
export type Warn = (message: string, fields: { readonly key: string; readonly file: string }) => void;

type Settings = { -readonly [K in keyof Config]?: Config[K] };
/** `passOver` is told the key of what has no meaning here. */
type Read = (value: TomlValue, settings: Settings, defaults: Config, passOver: (key: string) => void) => void;

/** Thrown by a `Read`; the key and the file are put before it. */
class WrongValue extends Error {}

const text = (value: TomlValue): string => {
  if (typeof value !== 'string') throw new WrongValue(`must be a string, not ${kindOf(value)}`);
  return value;
};

const flag = (value: TomlValue): boolean => {
  if (typeof value !== 'boolean') throw new WrongValue(`must be true or false, not ${kindOf(value)}`);
  return value;
};

const integer = (value: TomlValue, min: number, max: number): number => {
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    throw new WrongValue(`must be an integer, not ${kindOf(value)}`);
  }
  if (value < min || value > max) throw new WrongValue(`must be from ${min} to ${max}, not ${value}`);
  return value;
};

const oneOf = <T extends string>(value: TomlValue, allowed: readonly T[]): T => {
  const found = allowed.find((name) => name === text(value));
  if (found === undefined) throw new WrongValue(`must be one of ${allowed.join(', ')}, not ${JSON.stringify(value)}`);
  return found;
};

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/** Go's form of a duration, such as `1h30m` or `500ms`, to milliseconds. */
const duration = (value: TomlValue): number => {
  const parts = [...text(value).matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/gy)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== value) {
    throw new WrongValue(`must be a duration such as "1h30m" or "500ms", not ${JSON.stringify(value)}`);
  }
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (UNIT_MS.get(unit ?? '') ?? 0), 0);
};

const BYTES_MAX = 2 ** 31 - 1;
const ID_MAX = 2 ** 32 - 2;

const root: Read = (value, settings) => (settings.root = text(value));
const state: Read = (value, settings) => (settings.state = text(value));
const address: Read = (value, settings) => (settings.address = text(value));
const ttrpcAddress: Read = (value, settings) => (settings.ttrpcAddress = text(value));
const uid: Read = (value, settings) => (settings.socketUid = integer(value, 0, ID_MAX));
const gid: Read = (value, settings) => (settings.socketGid = integer(value, 0, ID_MAX));
const receiveMax: Read = (value, settings) => (settings.receiveBytesMax = integer(value, 1, BYTES_MAX));
const sendMax: Read = (value, settings) => (settings.sendBytesMax = integer(value, 1, BYTES_MAX));
const level: Read = (value, settings) => (settings.logLevel = oneOf<LogLevel>(value, LOG_LEVELS));
const oomScore: Read = (value, settings) => (settings.oomScore = integer(value, -1000, 1000));

const inEvents =
  (change: (value: TomlValue) => Partial<Config['events']>): Read =>
  (value, settings, defaults) =>
    (settings.events = { ...(settings.events ?? defaults.events), ...change(value) });
const inTasks =
  (change: (value: TomlValue) => Partial<Config['tasks']>): Read =>
  (value, settings, defaults) =>
    (settings.tasks = { ...(settings.tasks ?? defaults.tasks), ...change(value) });
const timeout =
  (name: keyof Config['timeouts']): Read =>
  (value, settings, defaults) =>
    (settings.timeouts = { ...(settings.timeouts ?? defaults.timeouts), [name]: duration(value) });
const sharing: Read = (value, settings) =>
  (settings.content = { sharing: oneOf<Sharing>(value, ['shared', 'isolated']) });
const ignored: Read = () => undefined;

type Snapshotters = Config['snapshotters'];
const inSnapshotter =
  <Name extends 'overlayfs' | 'native'>(name: Name, change: (value: TomlValue) => Partial<Snapshotters[Name]>): Read =>
  (value, settings, defaults) => {
    const snapshotters = settings.snapshotters ?? defaults.snapshotters;
    settings.snapshotters = { ...snapshotters, [name]: { ...snapshotters[name], ...change(value) } };
  };
/** An empty one says nothing: containerd's default file has the key. */
const directory = (value: TomlValue): { root: string } => {
  const root = text(value);
  if (root !== '' && !root.startsWith('/'))
    throw new WrongValue(`must be an absolute path, not ${JSON.stringify(root)}`);
  return { root };
};

const texts = (value: TomlValue): readonly string[] => {
  if (!Array.isArray(value)) throw new WrongValue(`must be an array of strings, not ${kindOf(value)}`);
  return value.map(text);
};

/** Types of proxy plugins that are snapshotters. */
const SNAPSHOT_PROXIES: ReadonlySet<string> = new Set(['snapshot', 'io.containerd.snapshotter.v1']);
const OWN_SNAPSHOTTERS: ReadonlySet<string> = new Set(['overlayfs', 'native']);

const proxyPlugins: Read = (value, settings, defaults, passOver) => {
  const proxies = new Map<string, string>();
  for (const [name, given] of Object.entries(table(value))) {
    const plugin = table(given);
    const address = text(plugin.address ?? '').replace(/^unix:\/\//, '');
    if (!SNAPSHOT_PROXIES.has(text(plugin.type ?? ''))) passOver(`proxy_plugins.${name}`);
    else if (OWN_SNAPSHOTTERS.has(name)) throw new WrongValue(`must not have ${name}: that snapshotter is ours`);
    else if (!address.startsWith('/')) {
      throw new WrongValue(`must give each plugin the absolute path of a socket as "address", and ${name} has none`);
    } else proxies.set(name, address);
  }
  settings.snapshotters = { ...(settings.snapshotters ?? defaults.snapshotters), proxies };
};

const runtimes: Read = (value, settings) => {
  const entries = Object.entries(table(value)).map(([name, runtime]): [string, string] => {
    const path = text(table(runtime).path ?? '');
    if (!path.startsWith('/')) throw new WrongValue(`must give each runtime an absolute "path", and ${name} has none`);
    return [name, path];
  });
  settings.runtimes = new Map(entries);
};

/** Read in this order: of two keys for one thing, ours is the later one and wins. */
const KEYS: ReadonlyMap<string, Read> = new Map([
  // containerd's own, where they mean the same.
  ['version', ignored], // 2 and 3 differ only in the names of plugins
  ['disabled_plugins', ignored], // nothing of ours can be taken away
  ['required_plugins', ignored],
  ['root', root],
  ['state', state],
  ['oom_score', oomScore],
  ['grpc.address', address],
  ['grpc.uid', uid],
  ['grpc.gid', gid],
  ['grpc.max_recv_message_size', receiveMax],
  ['grpc.max_send_message_size', sendMax],
  ['ttrpc.address', ttrpcAddress],
  ['plugins.io.containerd.metadata.v1.bolt.content_sharing_policy', sharing],
  [
    'debug.level',
    (value, settings, defaults, passOver) => (value === '' ? undefined : level(value, settings, defaults, passOver)),
  ],
  ['timeouts.io.containerd.timeout.shim.load', timeout('shimLoadMs')],
  ['timeouts.io.containerd.timeout.shim.cleanup', timeout('shimCleanupMs')],
  ['timeouts.io.containerd.timeout.shim.shutdown', timeout('shimShutdownMs')],
  ['timeouts.io.containerd.timeout.task.state', timeout('taskStateMs')],
  ['plugins.io.containerd.snapshotter.v1.overlayfs.root_path', inSnapshotter('overlayfs', directory)],
  [
    'plugins.io.containerd.snapshotter.v1.overlayfs.mount_options',
    inSnapshotter('overlayfs', (value) => ({ mountOptions: texts(value) })),
  ],
  [
    'plugins.io.containerd.snapshotter.v1.overlayfs.upperdir_label',
    inSnapshotter('overlayfs', (value) => ({ upperdirLabel: flag(value) })),
  ],
  [
    'plugins.io.containerd.snapshotter.v1.overlayfs.sync_remove',
    inSnapshotter('overlayfs', (value) => ({ syncRemove: flag(value) })),
  ],
  ['plugins.io.containerd.snapshotter.v1.native.root_path', inSnapshotter('native', directory)],
  ['proxy_plugins', proxyPlugins],
  // Ours.
  ['daemon.root', root],
  ['daemon.state', state],
  ['daemon.address', address],
  ['daemon.ttrpc_address', ttrpcAddress],
  ['daemon.uid', uid],
  ['daemon.gid', gid],
  ['daemon.receive_bytes_max', receiveMax],
  ['daemon.send_bytes_max', sendMax],
  ['daemon.log_level', level],
  ['daemon.oom_score', oomScore],
  ['events.max_age', inEvents((value) => ({ ageMsMax: duration(value) }))],
  ['events.max_count', inEvents((value) => ({ countMax: integer(value, 1, BYTES_MAX) }))],
  ['tasks.zygote', inTasks((value) => ({ zygote: flag(value) }))],
  ['tasks.stdio', inTasks((value) => ({ stdio: oneOf(value, ['fifo', 'pipe']) }))],
  ['content.sharing', sharing],
  ['runtimes', runtimes],
]);

const PASSED_OVER = 'unknown key in the configuration, passed over';

/** Reads the text of a configuration file. Throws InvalidArgument that names the key and the file. */
export const readSettings = (
  toml: string,
  { file, defaults, warn }: { readonly file: string; readonly defaults: Config; readonly warn: Warn },
): Partial<Config> => {
  let document: TomlTable;
  try {
    document = parse(toml);
  } catch (error) {
    throw invalidArgument(`${file}: ${messageOf(error)}`, { cause: error });
  }
  const leaves = new Map(flatten(document, ''));
  const settings: Settings = {};
  for (const [key, read] of KEYS) {
    const value = leaves.get(key);
    if (value === undefined) continue;
    try {
      read(value, settings, defaults, (name) => warn(PASSED_OVER, { key: name, file }));
    } catch (error) {
      if (error instanceof WrongValue) throw invalidArgument(`${file}: ${key} ${error.message}`);
      throw error;
    }
  }
  for (const [key, value] of leaves) {
    if (!KEYS.has(key) && !isEmpty(value)) warn(PASSED_OVER, { key, file });
  }
  return settings;
};

/** Dotted key → value. A table that is itself a key (`runtimes`) stays whole. */
function* flatten(value: TomlTable, prefix: string): Generator<[string, TomlValue]> {
  for (const [name, inner] of Object.entries(value)) {
    const key = prefix === '' ? name : `${prefix}.${name}`;
    if (KEYS.has(key) || kindOf(inner) !== 'a table') yield [key, inner];
    else yield* flatten(inner as TomlTable, key);
  }
}

/** A value that says nothing; dockerd writes its containerd's file with all keys in it. */
const isEmpty = (value: TomlValue): boolean =>
  value === '' || value === 0 || value === false || (Array.isArray(value) && value.length === 0);

const table = (value: TomlValue): TomlTable => {
  if (kindOf(value) !== 'a table') throw new WrongValue(`must be a table, not ${kindOf(value)}`);
  return value as TomlTable;
};

const kindOf = (value: TomlValue): string => {
  if (Array.isArray(value)) return 'an array';
  if (value instanceof Date) return 'a date';
  const kind = typeof value;
  return kind === 'object' ? 'a table' : `a ${kind}`;
};
