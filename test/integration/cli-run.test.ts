import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { exec } from '../harness/exec.ts';
import { findTaskFiles } from '../harness/leaks.ts';
import { eventually } from '../harness/wait.ts';
import { Cli } from './cli-harness.ts';

const cli = await Cli.start();

test('the container’s output is the CLI’s own, and its exit code too', async () => {
  const { status, stdout, stderr } = await cli.run(cli.inRootfs('--rm', 'sh', '-c', 'echo out; echo err >&2; exit 7'));
  assert.deepEqual([status, stdout, stderr], [7, 'out\n', 'err\n']);
});

test('a container that a signal ended gives 128 and the signal’s number', async () => {
  const session = cli.session(cli.inRootfs('--rm', '--name', 'struck', 'sleep', '100'));
  await eventually(async () => (await cli.ok('ps', '-q')).includes('struck'));
  await cli.ok('kill', 'struck');
  assert.equal((await session.end()).status, 137);
});

test('options of Node among a container’s arguments are the container’s', async () => {
  const file = cli.bed.path('env-file');
  writeFileSync(file, 'NODE_OPTIONS=--require=/nonexistent.cjs\n');
  const words = [`--env-file=${file}`, '--env-file', '/nowhere', '--experimental-config-file=x', '='];
  const { status, stdout } = await cli.run(cli.inRootfs('--rm', 'echo', ...words));
  assert.deepEqual([status, stdout], [0, `${words.join(' ')}\n`]);
});

test('a large output arrives whole', async () => {
  const { status, stdout } = await cli.run(cli.inRootfs('--rm', 'seq', '1', '300000'));
  assert.equal(status, 0);
  assert.equal(stdout.length, 1_988_895);
  assert.ok(stdout.endsWith('\n299999\n300000\n'));
});

test('with -i the container reads our input to its end; without it, it has none', async () => {
  const input = 'a\n'.repeat(100_000);
  assert.equal((await cli.run(cli.inRootfs('--rm', '-i', 'wc', '-l'), { input })).stdout, '100000\n');
  assert.equal((await cli.run(cli.inRootfs('--rm', 'wc', '-l'), { input })).stdout, '0\n');
});

test('a signal that the CLI gets, the container gets', async () => {
  const script = 'trap "echo caught; exit 3" TERM; echo ready; while :; do sleep 0.05; done';
  const session = cli.session(cli.inRootfs('--rm', 'sh', '-c', script));
  await session.says('ready');
  session.signal('SIGTERM');
  const { status, stdout } = await session.end();
  assert.deepEqual([status, stdout], [3, 'ready\ncaught\n']);
});

test('the third SIGINT leaves a container that will not hear, and says how to end it', async () => {
  const script = 'trap "echo heard" INT; echo ready; while :; do sleep 0.05; done';
  const session = cli.session(cli.inRootfs('--name', 'deaf', 'sh', '-c', script));
  await session.says('ready');
  for (let count = 1; count < 3; count += 1) {
    session.signal('SIGINT');
    await session.says(new RegExp(`(heard\n){${count}}`)); // equal signals that wait are one
  }
  session.signal('SIGINT');
  const { status, stderr } = await session.end();
  assert.equal(status, 125);
  assert.match(stderr, /^holdfast: left deaf after 3 signals; it goes on: "holdfast stop deaf" ends it\n$/);
  assert.match(await cli.ok('ps'), /deaf .* Up /);
  await cli.ok('rm', '-f', 'deaf');
});

test('a signal before the start leaves nothing behind', async () => {
  const slow = cli.bed.path('slow-shim');
  writeFileSync(slow, '#!/bin/sh\ncase "$*" in *start) exec sleep 30 ;; esac\nexit 1\n', { mode: 0o755 });
  const session = cli.session(cli.inRootfs('--runtime', slow, 'true'));
  await eventually(async () => (await cli.ok('ps', '-aq')) !== '');
  session.signal('SIGINT');
  const { status, stderr } = await session.end();
  assert.deepEqual([status, stderr], [125, 'holdfast: interrupted by SIGINT before it was started\n']);
  await eventually(async () => (await cli.ok('ps', '-aq')) === '');
});

test('a container survives its daemon: the run waits for it over a kill -9 and a start', async () => {
  const script = 'read line; echo "$line"; read line; echo "$line"; exit 5';
  const session = cli.session(cli.inRootfs('--rm', '-i', 'sh', '-c', script));
  session.write('one\n');
  await session.says('one');
  await cli.daemon.kill9();
  session.write('two\n');
  await session.says('two');
  await cli.daemon.start();
  const { status, stdout } = await session.end();
  assert.deepEqual([status, stdout], [5, 'one\ntwo\n']);
});

test('a command that is not there gives 127, one that cannot be invoked 126, and nothing is left', async () => {
  writeFileSync(join(cli.rootfs, 'tmp/plain'), 'no program', { mode: 0o644 });
  assert.equal((await cli.run(cli.inRootfs('nosuchprogram'))).status, 127);
  assert.equal((await cli.run(cli.inRootfs('/no/such/program'))).status, 127);
  assert.equal((await cli.run(cli.inRootfs('/tmp/plain'))).status, 126);
  assert.equal((await cli.run(cli.inRootfs('/etc'))).status, 126);
  assert.equal((await cli.run(cli.inRootfs('-d', 'nosuchprogram'))).status, 127);
  assert.equal(await cli.ok('ps', '-aq'), '');
  await eventually(() => findTaskFiles(cli.daemon.state).length === 0, { what: 'all bundles and shims to go' });
});

test('what is wrong with the run itself gives 125 and one line', async () => {
  for (const args of [
    ['run', 'true'],
    ['run', '--rootfs', cli.bed.path('none'), 'true'],
    cli.inRootfs(),
    cli.inRootfs('--nmae', 'x', 'true'),
    cli.inRootfs('-d', '--rm', 'true'),
    cli.inRootfs('-v', `${cli.bed.path('none')}:/mnt`, 'true'),
    cli.inRootfs('-u', 'nobody-here', 'true'),
    cli.inRootfs('--name', '../x', 'true'),
    cli.inRootfs('-i', '-t', 'true'),
  ]) {
    const { status, stderr, stdout } = await cli.run(args, { input: '' });
    assert.deepEqual([status, stdout], [125, ''], args.join(' '));
    assert.match(stderr, /^holdfast: [^\n]+\n$/, args.join(' '));
  }
  assert.match((await cli.run(cli.inRootfs('--nmae', 'x', 'true'))).stderr, /did you mean --name\?/);
  assert.equal(await cli.ok('ps', '-aq'), '');
});

test('a name is taken until its container is removed, and then free again', async () => {
  assert.equal((await cli.run(cli.inRootfs('--name', 'twice', 'true'))).status, 0);
  const again = await cli.run(cli.inRootfs('--name', 'twice', 'true'));
  assert.equal(again.status, 125);
  assert.equal(again.stderr, 'holdfast: there is a container "twice" already: "holdfast rm twice" removes it\n');
  await cli.ok('rm', 'twice');
  assert.equal((await cli.run(cli.inRootfs('--rm', '--name', 'twice', 'true'))).status, 0);
  assert.equal(await cli.ok('ps', '-aq'), '');
});

test('the options reach the container', async () => {
  const shared = cli.bed.folder('shared');
  writeFileSync(join(shared, 'file'), 'shared\n');
  mkdirSync(join(cli.rootfs, 'data'), { recursive: true });
  const script = 'id -u; id -g; pwd; hostname; echo $COLOR $OURS; cat /data/file; touch /data/x 2>/dev/null || echo ro';
  const options = ['--rm', '-u', 'user', '-w', '/home/user', '--hostname', 'kelp', '-e', 'COLOR=green', '-e', 'OURS'];
  options.push('-v', `${shared}:/data:ro`, '--memory', '64m', '--read-only');
  const { stdout, stderr } = await cli.run(cli.inRootfs(...options, 'sh', '-c', script), { env: { OURS: 'passed' } });
  assert.equal(stdout, '1000\n1000\n/home/user\nkelp\ngreen passed\nshared\nro\n', stderr);
});

test('options behind the command are the command’s', async () => {
  const { stdout } = await cli.run(cli.inRootfs('--rm', 'echo', '-d', '--rm', '--help'));
  assert.equal(stdout, '-d --rm --help\n');
});

test('when nobody reads the output any more, --rm takes the container away', async () => {
  const { stdout } = await exec('sh', ['-c', `${cli.line(cli.inRootfs('--rm', 'yes'))} | head -n 1`]);
  assert.equal(stdout, 'y\n');
  await eventually(async () => (await cli.ok('ps', '-aq')) === '');
});
