import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../harness/wait.ts';
import { Cli } from './cli-harness.ts';

const cli = await Cli.start();

test('ps shows what runs, -a what has ended too, in Docker’s words', async () => {
  await cli.ok(...cli.inRootfs('-d', '--name', 'up', 'sleep', '100'));
  await cli.run(cli.inRootfs('--name', 'over', 'sh', '-c', 'exit 7'));
  const running = await cli.ok('ps');
  assert.match(running, /^ID +IMAGE OR ROOTFS +COMMAND +CREATED +STATUS +PID\n/);
  assert.match(running, /\nup .* "sleep 100" .* ago +Up (Less than a|\d+) seconds? +\d+\n/);
  assert.doesNotMatch(running, /over/);
  assert.match(await cli.ok('ps', '-a'), /\nover .* Exited \(7\) (Less than a|\d+) seconds? ago\n/);
  assert.equal(await cli.ok('ps', '-q'), 'up\n');
  await cli.ok('rm', '-f', 'up', 'over');
});

test('ps --json gives what a script needs', async () => {
  await cli.run(cli.inRootfs('--name', 'over', '--label', 'tier=back', 'sh', '-c', 'exit 7'));
  const [row] = JSON.parse(await cli.ok('ps', '-a', '--json'));
  assert.deepEqual([row.id, row.state, row.exitStatus, row.pid], ['over', 'stopped', 7, 0]);
  assert.deepEqual(row.command, ['sh', '-c', 'exit 7']);
  assert.equal(row.labels.tier, 'back');
  assert.ok(Date.parse(row.exitedAt) >= Date.parse(row.createdAt));
  await cli.ok('rm', 'over');
});

test('exec runs a command beside the container’s own, and its exit code is the CLI’s', async () => {
  await cli.ok(...cli.inRootfs('-d', '--name', 'host', '-e', 'A=1', 'sleep', '100'));
  const script = 'echo $A $B; pwd; id -u; cat; echo err >&2; exit 6';
  const args = ['exec', '-i', '-e', 'B=2', '-w', '/tmp', '-u', 'user', 'host', 'sh', '-c', script];
  const { status, stdout, stderr } = await cli.run(args, { input: 'in\n' });
  assert.deepEqual([status, stdout, stderr], [6, '1 2\n/tmp\n1000\nin\n', 'err\n']);
  assert.equal((await cli.run(['exec', 'host', 'nosuchprogram'])).status, 127);
  assert.equal((await cli.run(['exec', 'host', '/etc'])).status, 126);
  await cli.ok('rm', '-f', 'host');
});

test('an exec is deleted when it has ended', async () => {
  await cli.ok(...cli.inRootfs('-d', '--name', 'alone', 'sleep', '100'));
  await cli.ok('exec', 'alone', 'true');
  const lines = (await cli.ok('events', '--json', '--filter', 'event.container_id==alone')).trim().split('\n');
  const exits = lines
    .map((line) => JSON.parse(line))
    .filter(({ topic, event }) => topic === '/tasks/exit' && event.id !== 'alone');
  assert.equal(exits.length, 1);
  const gone = await cli.daemon.ctr.run(['tasks', 'kill', '--exec-id', exits[0].event.id, 'alone']);
  assert.match(gone.stderr, /not found|does not exist/);
  await cli.ok('rm', '-f', 'alone');
});

test('exec -d leaves the command to itself', async () => {
  await cli.ok(...cli.inRootfs('-d', '--name', 'host', 'sleep', '100'));
  assert.equal(await cli.ok('exec', '-d', 'host', 'touch', '/tmp/made'), '');
  await eventually(async () => (await cli.run(['exec', 'host', 'rm', '/tmp/made'])).status === 0);
  await cli.ok('rm', '-f', 'host');
});

test('kill sends the signal by name or number', async () => {
  const script = 'trap "exit 11" HUP; echo ready; while :; do sleep 0.05; done';
  await cli.ok(...cli.inRootfs('-d', '--name', 'host', 'sh', '-c', script));
  await eventually(async () => (await cli.ok('logs', 'host')) === 'ready\n');
  assert.equal(await cli.ok('kill', '-s', 'sighup', 'host'), 'host\n');
  await eventually(async () => /Exited \(11\)/.test(await cli.ok('ps', '-a')));
  const again = await cli.run(['kill', 'host']);
  assert.deepEqual([again.status, again.stderr], [1, 'holdfast: container "host" is not running\n']);
  await cli.ok('rm', 'host');
});

test('rm refuses what runs, -f ends it, also when it is frozen', async () => {
  await cli.ok(...cli.inRootfs('-d', '--name', 'host', 'sleep', '100'));
  const refused = await cli.run(['rm', 'host']);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /^holdfast: container "host" is running: .*holdfast rm -f host"\n$/);
  await cli.daemon.ctr.ok('tasks', 'pause', 'host');
  assert.match(await cli.ok('ps'), /Up .* \(Paused\)/);
  assert.equal(await cli.ok('rm', '-f', 'host'), 'host\n');
  assert.equal(await cli.ok('ps', '-aq'), '');
});

test('one that fails does not stop the others', async () => {
  await cli.ok(...cli.inRootfs('--name', 'a', 'true'));
  await cli.ok(...cli.inRootfs('--name', 'b', 'true'));
  const { status, stdout, stderr } = await cli.run(['rm', 'a', 'nobody', 'b']);
  assert.deepEqual([status, stdout], [1, 'a\nb\n']);
  assert.match(
    stderr,
    /^holdfast: there is no container "nobody" in namespace .*; "holdfast ps -a" lists what there is\n$/,
  );
});

test('containers that ctr has made are seen and handled like our own', async () => {
  await cli.daemon.ctr.ok('run', '-d', '--rootfs', cli.rootfs, 'theirs', '/bin/sleep', '100');
  assert.match(await cli.ok('ps'), /theirs .* Up /);
  assert.equal(await cli.ok('exec', 'theirs', '/bin/echo', 'hello'), 'hello\n');
  assert.equal((await cli.run(['logs', 'theirs'])).status, 1);
  assert.equal(await cli.ok('rm', '-f', 'theirs'), 'theirs\n');
});
