import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeRootfs } from '../harness/rootfs.ts';
import { eventually } from '../harness/wait.ts';
import { Cli } from './cli-harness.ts';

const cli = await Cli.start();

const start = (id: string, ...command: readonly string[]): Promise<string> =>
  cli.ok(...cli.inRootfs('-d', '--name', id, ...command));

test('shell opens a shell with our terminal, and its exit status is ours', async () => {
  await start('web', 'sleep', '100');
  const terminal = cli.terminal(['shell', 'web'], { columns: 91, rows: 27 });
  await terminal.shows('/ # ');
  terminal.write('stty size; echo $0 $TERM\r');
  await terminal.shows('27 91');
  await terminal.shows('/bin/sh xterm');
  terminal.write('echo re""ady; cat\r');
  await terminal.shows('ready');
  terminal.write('\x03');
  await terminal.shows('^C');
  terminal.write('exit 5\r');
  assert.equal(await terminal.end(), 5);
  await cli.ok('rm', '-f', 'web');
});

test('shell without a terminal reads its commands from our input', async () => {
  await start('web', 'sleep', '100');
  const { status, stdout } = await cli.run(['shell', '-u', 'user', 'web'], { input: 'id -u\necho $PPID\nexit 3\n' });
  assert.deepEqual([status, stdout], [3, '1000\n0\n']);
  await cli.ok('rm', '-f', 'web');
});

test('the shell is the container’s $SHELL, the user’s, or one that is there', async () => {
  const rootfs = makeRootfs(cli.bed.path('shells'));
  const passwd = join(rootfs, 'etc/passwd');
  const shell = async (...options: readonly string[]): Promise<string> => {
    await cli.ok('run', '-d', '--name', 'c', '--rootfs', rootfs, ...options, 'sleep', '100');
    const { status, stdout, stderr } = await cli.run(['shell', 'c'], { input: 'echo $0\n' });
    await cli.ok('rm', '-f', 'c');
    return status === 0 ? stdout.trim() : `${status} ${stderr}`;
  };
  assert.equal(await shell('-e', 'SHELL=/bin/ash'), '/bin/ash');
  assert.equal(await shell('-e', 'SHELL=/bin/none'), '/bin/sh');
  writeFileSync(passwd, 'root:x:0:0::/:/bin/ash\n');
  assert.equal(await shell(), '/bin/ash');
  writeFileSync(passwd, 'root:x:0:0::/:/sbin/nologin\n');
  assert.equal(await shell(), '/bin/sh');
  for (const name of ['sh', 'ash']) rmSync(join(rootfs, 'bin', name));
  assert.match(await shell(), /^127 holdfast: the container has no shell: .* --shell names another\n$/);
});

test('stop ends a container that hears SIGTERM at once, and one that does not after the time', async () => {
  await start('polite', 'sh', '-c', 'trap "exit 4" TERM; while :; do sleep 0.05; done');
  await start('deaf', 'sh', '-c', 'trap "" TERM; while :; do sleep 0.05; done');
  await eventually(async () => (await cli.ok('ps', '-q')).includes('deaf'));
  const began = performance.now();
  assert.equal(await cli.ok('stop', 'polite'), 'polite\n');
  assert.equal(await cli.ok('stop', '-t', '1', 'deaf'), 'deaf\n');
  assert.ok(performance.now() - began > 1_000);
  const ended = JSON.parse(await cli.ok('ps', '-a', '--json'));
  assert.deepEqual(
    ended.map(({ id, exitStatus }: { id: string; exitStatus: number }) => [id, exitStatus]),
    [
      ['deaf', 137],
      ['polite', 4],
    ],
  );
  assert.equal(await cli.ok('stop', 'polite'), 'polite\n', 'what has ended need not be stopped');
  await cli.ok('rm', 'polite', 'deaf');
});

test('stop ends what is paused', async () => {
  await start('frozen', 'sleep', '100');
  await cli.ok('pause', 'frozen');
  assert.equal(await cli.ok('stop', 'frozen'), 'frozen\n');
  assert.match(await cli.ok('ps', '-a'), /frozen .* Exited \(137\)/);
  await cli.ok('rm', 'frozen');
});

test('pause freezes, unpause thaws, and each says when there is nothing to do', async () => {
  await start('still', 'sh', '-c', 'while :; do date +%s.%N >/tmp/beat; sleep 0.05; done');
  assert.equal(await cli.ok('pause', 'still'), 'still\n');
  assert.match(await cli.ok('ps'), /still .* \(Paused\)/);
  const refused = await cli.run(['exec', 'still', 'true']);
  assert.equal(refused.status, 125);
  assert.match(refused.stderr, /container "still" is paused: "holdfast unpause still" lets it go on/);
  assert.match((await cli.run(['pause', 'still'])).stderr, /is paused: "holdfast unpause still"/);
  assert.equal(await cli.ok('unpause', 'still'), 'still\n');
  assert.equal(await cli.ok('exec', 'still', 'echo', 'on'), 'on\n');
  assert.match((await cli.run(['unpause', 'still'])).stderr, /is not paused, but running/);
  await cli.ok('rm', '-f', 'still');
});

test('wait prints exit statuses in the order of the ids, over a kill -9 of the daemon too', async () => {
  await start('slow', 'sh', '-c', 'while [ ! -e /tmp/go ]; do sleep 0.05; done; rm /tmp/go; exit 6');
  await start('quick', 'sh', '-c', 'exit 3');
  const session = cli.session(['wait', 'slow', 'quick']);
  await eventually(async () => (await cli.ok('ps', '-a')).includes('Exited (3)'));
  await cli.daemon.restart();
  writeFileSync(join(cli.rootfs, 'tmp/go'), '');
  assert.deepEqual(await session.end().then(({ status, stdout }) => [status, stdout]), [0, '6\n3\n']);
  assert.equal(await cli.ok('wait', 'slow'), '6\n');
  await cli.ok('rm', 'slow', 'quick');
  assert.match((await cli.run(['wait', 'slow'])).stderr, /there is no container "slow"/);
});

test('what is meant is said for a verb of Docker’s, a slip, and a container of another namespace', async () => {
  await start('webserver', 'sleep', '100');
  const said = async (...args: readonly string[]): Promise<string> => (await cli.run(args)).stderr;
  assert.match(await said('images'), /^holdfast: there is no "holdfast images": there are no images yet/);
  assert.match(await said('pss'), /did you mean ps\?/);
  assert.match(await said('logs', 'webservre'), /did you mean "webserver"\?\n$/);
  assert.match(
    await said('rm', '-n', 'elsewhere', 'webserver'),
    new RegExp(`add "--namespace ${cli.daemon.namespace}"`),
  );
  await cli.ok('rm', '-f', 'webserver');
});
