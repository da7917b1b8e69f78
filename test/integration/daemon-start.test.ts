import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type TestContext } from 'node:test';
import { IntrospectionDefinition } from '../../proto/gen/containerd/services/introspection/v1/introspection.ts';
import { HealthDefinition } from '../../proto/gen/grpc/health/v1/health.ts';
import {
  cleanUp,
  readJson,
  run,
  startDaemon,
  type StartOptions,
  temporaryFolder,
  type TestDaemon,
} from './daemon-harness.ts';

const MAIN = join(import.meta.dirname, '../../daemon/main.ts');

const started = async (context: TestContext, options?: StartOptions): Promise<TestDaemon> => {
  const daemon = await startDaemon(options);
  context.after(() => cleanUp(daemon));
  return daemon;
};

const folder = (context: TestContext): string => {
  const path = temporaryFolder();
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
};

/** Runs the daemon's program, which is to refuse. */
const refused = async (...args: readonly string[]): Promise<string> => {
  const { code, output } = await run(process.execPath, '--no-warnings', MAIN, ...args);
  assert.equal(code, 1, output);
  return output;
};

const mode = (path: string): string => (statSync(path).mode & 0o7777).toString(8);

test('root, state and sockets have the modes that keep others out', async (context) => {
  const { folder: path, address } = await started(context);
  assert.equal(mode(join(path, 'root')), '700');
  assert.equal(mode(join(path, 'state')), '711');
  assert.equal(mode(address), '660');
  assert.equal(mode(`${address}.ttrpc`), '660');
});

test('a second daemon on the same root refuses to start and says who holds it', async (context) => {
  const first = await started(context);
  const root = join(first.folder, 'root');
  const output = await refused('--root', root, '--state', join(first.folder, 's2'), '--address', `${first.address}2`);
  assert.match(output, new RegExp(`root ${root} is in use by another daemon \\(pid ${first.pid}\\)`));
});

test('a daemon on a socket where another listens refuses, and the other goes on', async (context) => {
  const first = await started(context);
  const other = folder(context);
  const output = await refused('--root', join(other, 'r'), '--state', join(other, 's'), '--address', first.address);
  assert.match(output, /somebody else listens on/);
  assert.equal((await run('ctr', '--address', first.address, 'version')).code, 0);
});

test('a file in the place of the socket is left alone', async (context) => {
  const path = folder(context);
  const address = join(path, 'h.sock');
  writeFileSync(address, 'precious');
  const output = await refused('--root', join(path, 'r'), '--state', join(path, 's'), '--address', address);
  assert.match(output, /is there already, and is no socket/);
  assert.ok(statSync(address).isFile());
});

test('after kill -9 the daemon starts again on its stale sockets, with the same name', async (context) => {
  const first = await started(context);
  const { uuid } = await first.client(IntrospectionDefinition).server({});
  assert.equal(await first.stop('SIGKILL'), 'SIGKILL');
  assert.ok(existsSync(first.address));
  const second = await started(context, { folder: first.folder });
  assert.equal((await second.client(IntrospectionDefinition).server({})).uuid, uuid);
});

test('a socket path of more than 107 bytes is refused with its name and length', async (context) => {
  const path = folder(context);
  const address = join(path, 'x'.repeat(108 - Buffer.byteLength(path) - 1));
  const output = await refused('--root', join(path, 'r'), '--state', join(path, 's'), '--address', address);
  assert.match(output, new RegExp(`socket path ${address} has 108 bytes, and 107 is the most`));
  assert.equal(existsSync(join(path, 'r')), false);
});

test('root and state in one place are refused', async (context) => {
  const path = folder(context);
  assert.match(await refused('--root', path, '--state', path), /must be different paths/);
});

test('--version and --help print and end; a wrong flag is named', async () => {
  const help = await run(process.execPath, MAIN, '--help');
  assert.deepEqual([help.code, /--log-level/.test(help.output)], [0, true]);
  const version = await run(process.execPath, MAIN, '--version');
  assert.deepEqual([version.code, /^holdfastd \d+\.\d+\.\d+\n$/.test(version.output)], [0, true]);
  assert.match(await refused('--addres', 'x'), /'--addres'/);
  assert.match(await refused('--log-level', 'loud'), /--log-level must be one of trace/);
});

test("containerd's config.toml is read where it means the same, and what is passed over is named", async (context) => {
  const path = folder(context);
  const config = join(path, 'config.toml');
  const address = join(path, 'h.sock'); // where the harness looks for it
  writeFileSync(
    config,
    `version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri"]
root = "${join(path, 'their-root')}"
state = "${join(path, 'their-state')}"
[grpc]
  address = "${address}"
  max_recv_message_size = 16777216
[ttrpc]
  address = "${join(path, 'events.sock')}"
[debug]
  level = "debug"
  address = ""
[metrics]
  address = "127.0.0.1:1338"
[timeouts]
  "io.containerd.timeout.task.state" = "1500ms"
[plugins."io.containerd.gc.v1.scheduler"]
  pause_threshold = 0.02
[plugins."io.containerd.snapshotter.v1.overlayfs"]
  root_path = ""
  upperdir_label = false
[proxy_plugins.remote]
  type = "snapshot"
  address = "unix:///run/remote.sock"
[proxy_plugins.blobs]
  type = "content"
  address = "/run/blobs.sock"
`,
  );
  const child = spawn(process.execPath, ['--no-warnings', MAIN, '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  context.after(() => child.kill('SIGKILL'));
  let log = '';
  child.stderr.on('data', (text: Buffer) => (log += String(text)));
  while (!log.includes('"serving"')) await sleep(20);
  assert.ok(existsSync(join(path, 'their-root/metadata.db')));
  assert.ok(existsSync(join(path, 'events.sock')));
  const warned = [...log.matchAll(/"key":"([^"]*)"/g)].map(([, key]) => key);
  assert.deepEqual(warned, [
    'proxy_plugins.blobs',
    'metrics.address',
    'plugins.io.containerd.gc.v1.scheduler.pause_threshold',
  ]);
});

for (const [toml, expected] of [
  ['[grpc]\nuid = "root"', /config\.toml: grpc\.uid must be an integer, not a string/],
  ['oom_score = 5000', /config\.toml: oom_score must be from -1000 to 1000, not 5000/],
  ['[daemon]\nlog_level = "loud"', /config\.toml: daemon\.log_level must be one of/],
  ['[events]\nmax_age = "3 days"', /config\.toml: events\.max_age must be a duration/],
  [
    '[runtimes]\nfoo = { path = "bin" }',
    /config\.toml: runtimes must give each runtime an absolute "path", and foo has none/,
  ],
  [
    '[proxy_plugins]\nfoo = { type = "snapshot", address = "foo.sock" }',
    /config\.toml: proxy_plugins must give each plugin the absolute path of a socket as "address", and foo has none/,
  ],
  [
    '[proxy_plugins]\nnative = { type = "snapshot", address = "/foo.sock" }',
    /config\.toml: proxy_plugins must not have native: that snapshotter is ours/,
  ],
  [
    '[plugins."io.containerd.snapshotter.v1.overlayfs"]\nmount_options = "volatile"',
    /config\.toml: plugins\.io\.containerd\.snapshotter\.v1\.overlayfs\.mount_options must be an array of strings/,
  ],
  [
    '[plugins."io.containerd.snapshotter.v1.native"]\nroot_path = "here"',
    /config\.toml: plugins\.io\.containerd\.snapshotter\.v1\.native\.root_path must be an absolute path, not "here"/,
  ],
  ['root = ', /config\.toml: /],
] as const) {
  test(`a configuration that is wrong (${toml.replace('\n', ' ')}) is an error that names key and file`, async (context) => {
    const config = join(folder(context), 'config.toml');
    writeFileSync(config, toml);
    assert.match(await refused('--config', config), expected);
  });
}

test('a configuration file that was asked for and is not there is an error', async () => {
  assert.match(await refused('--config', '/no/such.toml'), /configuration file "\/no\/such.toml": not found/);
});

test('systemd is told when the daemon is ready and when it stops', async (context) => {
  const path = folder(context);
  const socket = join(path, 'notify');
  const receiver = spawn('python3', [
    '-uc',
    'import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\ns.bind(sys.argv[1])\nprint("bound")\nwhile True: print(s.recv(4096).decode())',
    socket,
  ]);
  context.after(() => receiver.kill());
  let received = '';
  receiver.stdout.on('data', (text: Buffer) => (received += String(text)));
  await once(receiver.stdout, 'data');
  const daemon = await started(context, { environment: { NOTIFY_SOCKET: socket } });
  assert.equal(await daemon.stop(), 0);
  await sleep(50);
  assert.equal(received, 'bound\nREADY=1\nSTOPPING=1\n');
});

test('SIGTERM ends the daemon with 0, its sockets go, and clients that wait are told UNAVAILABLE', async (context) => {
  const daemon = await started(context);
  const watch = daemon.client(HealthDefinition).watch({ service: '' });
  await once(watch, 'data');
  const ended = once(watch, 'error') as Promise<[{ code: number }]>;
  watch.on('data', () => undefined);
  const began = performance.now();
  assert.equal(await daemon.stop(), 0);
  assert.ok(performance.now() - began < 1000);
  assert.equal((await ended)[0].code, 14);
  assert.deepEqual(readdirSync(daemon.folder).sort(), ['root', 'state']);
});

test('SIGUSR1 writes down what the daemon knows, and it goes on', async (context) => {
  const daemon = await started(context);
  await run('ctr', '--address', daemon.address, 'ns', 'create', 'seen');
  daemon.process.kill('SIGUSR1');
  const path = join(daemon.folder, 'state/dump.json');
  while (!existsSync(path)) await sleep(10);
  const { state } = readJson(path) as { state: { namespaces: string[] } };
  assert.deepEqual(state.namespaces, ['seen']);
  assert.equal((await run('ctr', '--address', daemon.address, 'version')).code, 0);
});

test('a connection that says nothing, or nonsense, disturbs nobody', async (context) => {
  const daemon = await started(context);
  for (const address of [daemon.address, `${daemon.address}.ttrpc`]) {
    for (const bytes of ['', 'GET / HTTP/1.1\r\n\r\n', '\0'.repeat(100), '\xff'.repeat(70_000)]) {
      const socket = net.connect(address);
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(bytes, 'latin1');
      await sleep(5);
      if (bytes !== '') socket.destroy();
      else context.after(() => socket.destroy());
    }
  }
  assert.equal((await run('ctr', '--address', daemon.address, 'version')).code, 0);
  assert.equal(daemon.process.exitCode, null);
});

test('a root that is missing is made, with all that leads to it', async (context) => {
  const path = folder(context);
  mkdirSync(join(path, 'a'));
  const daemon = await started(context, { folder: join(path, 'a') });
  assert.equal(mode(join(path, 'a/root')), '700');
  assert.equal(await daemon.stop(), 0);
});
