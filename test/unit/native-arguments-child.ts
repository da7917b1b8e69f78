// Calls everything that the addon exports with random arguments, in a process of its own: `… RUNS`. Ends with 0 if every
// call gave a result or an ErrnoError, refused what its kind of argument forbids, and left no descriptor.
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { codes } from '../../common/errdefs.ts';
import { ErrnoError, eventfd, openTerminal, pipe, setNonblocking, socketPair } from '../../native/index.ts';

const addon = process.env['HOLDFAST_NATIVE'] ?? join(import.meta.dirname, '../../native/build/Release/holdfast.node');
// The very object that native/index.ts has.
const raw = createRequire(import.meta.url)(addon) as Record<string, (...args: readonly unknown[]) => unknown>;

const directory = mkdtempSync(join(tmpdir(), 'holdfast-native-'));
process.chdir(directory);
writeFileSync('file', 'content');

const ends = pipe({ nonblocking: true });
const { master, replica } = openTerminal();
setNonblocking(master, true);
const fds = [ends.read, ends.write, master, replica, ...socketPair(), ...socketPair('seqpacket'), eventfd(1)];
fds.push(openSync('file', 'r+'), openSync('.', 'r'), 900_000);

/** Kind of argument → values that a call takes, all harmless: nothing outside our folder, no descriptor but ours. */
const good = {
  fd: fc.constantFrom(...fds),
  pid: fc.constantFrom(process.pid, 2 ** 31 - 1),
  signal: fc.integer({ min: 0, max: 64 }),
  size: fc.oneof(fc.integer({ min: 0, max: 1 << 16 }), fc.constant(2 ** 53 - 1)),
  u32: fc.oneof(fc.nat(16), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
  u16: fc.integer({ min: 0, max: 2 ** 16 - 1 }),
  bool: fc.boolean(),
  peek: fc.constant(true),
  i64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  u64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  path: fc.constantFrom('file', 'new', 'absent/below', '/proc/self/nothing', 'n'.repeat(300), 'p/'.repeat(2000)),
  octets: fc.constantFrom('file', 'new', '', '\xff', 'absent/below', 'n'.repeat(300), 'p/'.repeat(2000)),
  text: fc.oneof(
    fc.constantFrom('', 'user.one', 'user.two'),
    fc.string().map((text) => text.replaceAll('\0', '')),
  ),
  bytes: fc.uint8Array({ maxLength: 5000 }),
  texts: fc.array(fc.constantFrom('a', 'b=c')),
  fds: fc.array(fc.constantFrom(...fds), { maxLength: 260 }),
  function: fc.constant(() => undefined),
} as const;

type Kind = keyof typeof good;

const isNumber = (low: number, high: number) => (value: unknown) =>
  typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high;
const isBigint = (low: bigint, high: bigint) => (value: unknown) =>
  typeof value === 'bigint' && value >= low && value <= high;
const isText = (low: number, high: number) => (value: unknown) =>
  typeof value === 'string' &&
  !value.includes('\0') &&
  Buffer.byteLength(value) >= low &&
  Buffer.byteLength(value) <= high;
const isListOf = (isItem: (value: unknown) => boolean) => (value: unknown) =>
  Array.isArray(value) && value.length <= 65_536 && value.every(isItem);

/** What each kind takes, said once more than in the addon. */
const takes: Record<Kind, (value: unknown) => boolean> = {
  fd: isNumber(0, 2 ** 31 - 1),
  pid: isNumber(1, 2 ** 31 - 1),
  signal: isNumber(0, 64),
  size: isNumber(0, 2 ** 53 - 1),
  u32: isNumber(0, 2 ** 32 - 1),
  u16: isNumber(0, 2 ** 16 - 1),
  bool: (value) => typeof value === 'boolean',
  peek: (value) => typeof value === 'boolean',
  i64: isBigint(-(2n ** 63n), 2n ** 63n - 1n),
  u64: isBigint(0n, 2n ** 64n - 1n),
  path: isText(1, 4095),
  octets: (value) => typeof value === 'string' && !value.includes('\0') && value.length <= 4095,
  text: isText(0, 131_071),
  bytes: (value) => value instanceof Uint8Array,
  texts: isListOf(isText(0, 131_071)),
  fds: isListOf(isNumber(0, 2 ** 31 - 1)),
  function: (value) => typeof value === 'function',
};

const numbers = [0, -0, -1, 1.5, NaN, Infinity, -Infinity, 65, 65_536, 2 ** 31, 2 ** 32, 2 ** 53, 1e308];
const bigints = [0n, -1n, 2n ** 63n, 2n ** 64n, 10n ** 100n];
const strings = ['', 'a', 'a\0b', 'x'.repeat(5000), 'y'.repeat(200_000)];
const lists = [[], [-1], [1.5], ['a\0'], [{}], Object.assign([], { length: 4_000_000_000 })];
const proxies = [new Proxy([], {}), new Proxy(() => 1, {}), Proxy.revocable({}, {}).proxy];
const buffers = [new Uint8Array(0), new Uint16Array(4), new Float64Array(1), new ArrayBuffer(8)];
const views = [new DataView(new ArrayBuffer(8)), new Uint8Array(new SharedArrayBuffer(8)), new SharedArrayBuffer(8)];
const objects = [{}, Object.create(null), { valueOf: () => 1 }, new Date(), /x/, new Map(), () => 1, Symbol('s')];
/** Not all of them wrong everywhere: `takes` tells. */
const strange: readonly unknown[] = [
  undefined,
  null,
  true,
  ...[numbers, bigints, strings, lists, proxies, buffers, views, objects].flatMap((values): unknown[] => values),
];

/** Call → its kinds of arguments, and whether it may be made at all with arguments that it takes. */
const calls: Record<string, { readonly kinds: readonly Kind[]; readonly harmless: boolean }> = {};
const harmless = (name: string, ...kinds: readonly Kind[]): void => void (calls[name] = { kinds, harmless: true });
const onlyRefused = (name: string, ...kinds: readonly Kind[]): void => void (calls[name] = { kinds, harmless: false });

onlyRefused('setErrorFactory', 'function');
harmless('setSubreaper', 'bool');
harmless('isSubreaper');
onlyRefused('setParentDeathSignal', 'signal');
harmless('getResourceLimit', 'u32');
onlyRefused('setResourceLimit', 'u32', 'u64', 'u64');
harmless('pidfdOpen', 'pid');
onlyRefused('pidfdSend', 'fd', 'signal');
harmless('pidfdInfo', 'fd');
harmless('wait', 'u32', 'u32', 'peek');
harmless('realtimeNanos');
onlyRefused('fork');
harmless('processId');
onlyRefused('exitNow', 'u16');
onlyRefused('spawnProcess', 'path', 'texts', 'texts', 'fds');
onlyRefused('execve', 'path', 'texts', 'texts', 'fds');
harmless('pipe', 'bool');
harmless('socketPair', 'u32');
harmless('eventfd', 'u32');
harmless('duplicate', 'fd');
onlyRefused('setNonblocking', 'fd', 'bool');
harmless('setCloseOnExec', 'fd', 'bool');
onlyRefused('closeRange', 'u32', 'u32', 'bool');
harmless('readNow', 'fd', 'bytes');
harmless('writeNow', 'fd', 'bytes');
harmless('splice', 'fd', 'fd', 'size');
harmless('pollOnce', 'fd', 'u16');
harmless('inotify');
harmless('inotifyAdd', 'fd', 'path', 'u32');
harmless('watch', 'fd', 'u16', 'function');
harmless('unwatch', 'u32');
harmless('referenceWatch', 'u32', 'bool');
harmless('sendDescriptors', 'fd', 'fds', 'bytes');
harmless('receiveDescriptors', 'fd', 'size', 'size');
harmless('peerCredentials', 'fd');
harmless('listenUnix', 'path', 'u32', 'u32');
harmless('connectUnix', 'path');
harmless('sendDatagram', 'path', 'bytes');
harmless('lockFile', 'fd', 'u32');
onlyRefused('allocate', 'fd', 'size', 'size');
harmless('allocateNow', 'fd', 'size', 'size');
harmless('setTimes', 'path', 'i64', 'i64', 'bool');
onlyRefused('makeNode', 'path', 'u32', 'u32', 'u32');
harmless('makeFifo', 'path', 'u32');
harmless('getXattr', 'path', 'text', 'bool');
harmless('setXattr', 'path', 'text', 'bytes', 'bool');
harmless('listXattrs', 'path', 'bool');
harmless('removeXattr', 'path', 'text', 'bool');
harmless('openIn', 'fd', 'path', 'u32', 'u32', 'u32');
harmless('nextData', 'fd', 'size');
harmless('isFifo', 'path');
harmless('openFifo', 'path', 'bool', 'bool', 'bool');
onlyRefused('mount', 'text', 'path', 'text', 'u32', 'text');
onlyRefused('unmount', 'path', 'u32');
onlyRefused('pivotRoot', 'path', 'path');
harmless('openBelow', 'fd', 'octets', 'u32', 'u32', 'u32');
harmless('statBelow', 'fd', 'octets');
onlyRefused('makeDirectoryBelow', 'fd', 'octets', 'u32');
harmless('symlinkBelow', 'octets', 'fd', 'octets');
harmless('linkBelow', 'fd', 'octets', 'fd', 'octets');
onlyRefused('makeNodeBelow', 'fd', 'octets', 'u32', 'u32', 'u32');
harmless('removeBelow', 'fd', 'octets');
onlyRefused('setInodeBelow', 'fd', 'octets', 'u32', 'u32', 'u32', 'i64', 'i64');
onlyRefused('finishFile', 'fd', 'u32', 'u32', 'u32', 'i64', 'i64');
harmless('writeFileBelow', 'fd', 'octets', 'u32', 'u32', 'u32', 'i64', 'i64', 'bytes');
harmless('readLinkBelow', 'fd', 'octets');
harmless('listDirectory', 'fd');
harmless('getXattrBelow', 'fd', 'octets', 'octets');
harmless('setXattrBelow', 'fd', 'octets', 'octets', 'bytes');
harmless('listXattrsBelow', 'fd', 'octets');
onlyRefused('syncFileSystem', 'fd');
harmless('openTerminal');
harmless('setWindowSize', 'fd', 'u16', 'u16');
harmless('getWindowSize', 'fd');

assert.deepEqual(Object.keys(raw).sort(), Object.keys(calls).sort(), 'every export has its line here');

const openNow = (): string[] =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return !readlinkSync(`/proc/self/fd/${fd}`).startsWith('/proc/');
    } catch {
      return false; // the one that readdir used
    }
  });

const aCall = fc.constantFrom(...Object.keys(calls)).chain((name) => {
  const kinds = calls[name]?.kinds ?? [];
  return fc.record({
    name: fc.constant(name),
    args: fc.tuple(...kinds.map((kind): fc.Arbitrary<unknown> => good[kind])),
    // Which argument is replaced by something strange; -1: none.
    at: fc.integer({ min: -1, max: kinds.length - 1 }),
    by: fc.constantFrom(...strange),
    // Arguments left out, or given beyond the last.
    count: fc.oneof({ weight: 9, arbitrary: fc.constant(kinds.length) }, { weight: 1, arbitrary: fc.nat(8) }),
  });
});

const refused = new Set<string>();
const answered = new Set<string>();

type Call = typeof aCall extends fc.Arbitrary<infer T> ? T : never;

/** Makes one call, unless it could do harm; tells whether it failed. */
const attempt = ({ name, args, at, by, count }: Call): boolean => {
  const { kinds, harmless: may } = calls[name] ?? { kinds: [], harmless: false };
  const given = Array.from({ length: count }, (_, index) => (index === at ? by : args[index]));
  const sound = kinds.every((kind, index) => takes[kind](given[index]));
  if (sound && !may) return false;
  // A strange number may be a descriptor of Node's, and a strange size more than the disk has.
  if (sound && at >= 0 && ['fd', 'fds', 'size', 'peek'].includes(kinds[at] ?? '')) return false;
  try {
    const result = raw[name]?.(...given);
    assert.ok(sound, `${name} took what it must refuse`);
    answered.add(name);
    if (name === 'watch') raw['unwatch']?.(result);
    return false;
  } catch (error) {
    if (!(error instanceof ErrnoError)) throw error;
    if (sound) answered.add(name);
    else refused.add(name);
    if (!sound) assert.equal(error.code, codes.invalidArgument);
    return true;
  }
};

const runs = Number(process.argv[2]);
raw['unwatch']?.(raw['watch']?.(ends.read, 1, () => undefined)); // makes the one epoll instance, which stays
const before = new Set(openNow());
const leftOpen = (): string[] => openNow().filter((fd) => !before.has(fd));
let made = 0;
fc.assert(
  fc.property(aCall, (call) => {
    made += 1;
    // Looking at what is open takes longer than a call.
    const looks = made % 10 === 0;
    if (looks) {
      for (const fd of leftOpen()) closeSync(Number(fd));
      rmSync('new', { force: true });
    }
    const failed = attempt(call);
    if (looks && failed) assert.deepEqual(leftOpen(), [], 'a call that fails leaves no descriptor');
  }),
  { numRuns: runs, endOnFailure: true },
);
const missing = Object.entries(calls).filter(
  ([name, { kinds, harmless: may }]) => (kinds.length > 0 && !refused.has(name)) || (may && !answered.has(name)),
);
assert.deepEqual(missing, []);
process.chdir('/');
rmSync(directory, { recursive: true });
console.log('every call was refused and answered at least once');
