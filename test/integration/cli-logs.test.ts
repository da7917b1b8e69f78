import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { eventually } from '../harness/wait.ts';
import { Cli } from './cli-harness.ts';

const cli = await Cli.start();

const ended = (id: string) =>
  eventually(async () => new RegExp(`${id} .* Exited`).test(await cli.ok('ps', '-a')), { what: `${id} to end` });

test('run -d prints the id, and logs show both outputs in the order in which they were written', async () => {
  const id = (await cli.ok(...cli.inRootfs('-d', 'sh', '-c', 'echo 1; echo 2 >&2; echo 3'))).trim();
  assert.match(id, /^[0-9a-f]{12}$/);
  await ended(id);
  assert.equal(await cli.ok('logs', id), '1\n2\n3\n');
  assert.equal(await cli.ok('logs', '--tail', '2', id), '2\n3\n');
  assert.equal(await cli.ok('logs', '--tail', '0', id), '');
  await cli.ok('rm', id);
});

test('logs -f goes on until the container ends, and misses nothing of it', async () => {
  await cli.ok(
    ...cli.inRootfs('-d', '--name', 'slow', 'sh', '-c', 'for n in 1 2 3 4; do echo $n; sleep 0.3; done; echo end'),
  );
  const { status, stdout } = await cli.run(['logs', '-f', 'slow']);
  assert.deepEqual([status, stdout], [0, '1\n2\n3\n4\nend\n']);
  await cli.ok('rm', 'slow');
});

test('a detached container goes on writing while there is no daemon', async () => {
  const script = 'echo before; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo during; rm /tmp/go';
  await cli.ok(...cli.inRootfs('-d', '--name', 'steady', 'sh', '-c', script));
  const following = cli.session(['logs', '-f', 'steady']);
  await following.says('before');
  await cli.daemon.kill9();
  writeFileSync(`${cli.rootfs}/tmp/go`, '');
  await following.says('during');
  await cli.daemon.start();
  assert.equal((await following.end()).status, 0);
  assert.equal(await cli.ok('logs', 'steady'), 'before\nduring\n');
  await cli.ok('rm', 'steady');
});

test('a detached container with a terminal is logged too', async () => {
  await cli.ok(...cli.inRootfs('-dt', '--name', 'screen', 'sh', '-c', 'tty; echo done'));
  assert.equal((await cli.run(['logs', '-f', 'screen'])).stdout, '/dev/pts/0\r\ndone\r\n');
  await cli.ok('rm', 'screen');
});

test('the log goes with its container, and a new one of that name begins a new one', async () => {
  await cli.ok(...cli.inRootfs('-d', '--name', 'again', 'echo', 'first'));
  await ended('again');
  const file = `${cli.daemon.root}/logs/${cli.daemon.namespace}/again.log`;
  assert.ok(existsSync(file));
  await cli.ok('rm', 'again');
  assert.ok(!existsSync(file));
  await cli.ok(...cli.inRootfs('-d', '--name', 'again', 'echo', 'second'));
  await ended('again');
  assert.equal(await cli.ok('logs', 'again'), 'second\n');
  await cli.ok('rm', 'again');
});

test('logs of a container that ran attached say what to do', async () => {
  await cli.ok(...cli.inRootfs('--name', 'seen', 'true'));
  const { status, stderr } = await cli.run(['logs', 'seen']);
  assert.equal(status, 1);
  assert.equal(stderr, 'holdfast: the output of container "seen" is not kept: only that of "holdfast run -d" is\n');
  await cli.ok('rm', 'seen');
});
