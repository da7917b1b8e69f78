import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exec } from '../harness/exec.ts';
import { Cli } from './cli-harness.ts';

const cli = await Cli.start();

const eventsOf = (text: string): { sequence: number; topic: string; event: Record<string, unknown> }[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

test('events prints what the daemon has kept, in order, and ends', async () => {
  await cli.run(cli.inRootfs('--rm', '--name', 'c', 'sh', '-c', 'exit 7'));
  const kept = eventsOf(await cli.ok('events', '--json', '--filter', 'topic~=/tasks/'));
  assert.deepEqual(
    kept.map(({ topic }) => topic),
    ['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete'],
  );
  assert.equal(kept[2]?.event['exit_status'], 7);
  const behind = eventsOf(await cli.ok('events', '--json', '--since', String(kept[2]?.sequence)));
  assert.ok(behind.every(({ sequence }) => sequence > (kept[2]?.sequence ?? 0)));
  assert.ok(behind.some(({ topic }) => topic === '/tasks/delete'));
  const lines = await cli.ok('events', '--since', '10m');
  assert.match(lines, /^\d+ \S+Z \S+ \/tasks\/exit container_id=c id=c pid=\d+ exit_status=7 exited_at=\S+Z$/m);
});

test('events --follow misses nothing when the daemon is killed and started', async () => {
  const session = cli.session(['events', '--follow', '--since', '0', '--json', '--filter', 'topic=="/tasks/exit"']);
  await cli.run(cli.inRootfs('--rm', '--name', 'one', 'true'));
  await session.says('"id":"one"');
  await cli.daemon.restart();
  await cli.run(cli.inRootfs('--rm', '--name', 'two', 'true'));
  await session.says('"id":"two"');
  session.signal('SIGTERM');
  const ids = eventsOf((await session.end()).stdout).map(({ event }) => event['id']);
  assert.deepEqual(
    ids.filter((id) => id === 'one' || id === 'two'),
    ['one', 'two'],
  );
});

test('info says who answers, where, and what there is', async () => {
  await cli.ok(...cli.inRootfs('-d', '--name', 'up', 'sleep', '100'));
  const info = JSON.parse(await cli.ok('info', '--json'));
  assert.match(info.daemon.version, /holdfast/);
  assert.deepEqual(
    [info.daemon.address, info.daemon.root, info.daemon.serving, info.daemon.process.pid],
    [cli.daemon.address, cli.daemon.root, true, cli.daemon.pid],
  );
  assert.ok(info.daemon.process.memoryBytes > 1 << 20);
  const here = info.namespaces.find(({ name }: { name: string }) => name === cli.daemon.namespace);
  assert.deepEqual([here?.containers, here?.tasks, here?.running], [1, 1, 1]);
  assert.match(await cli.ok('info'), /^Containers: +1, 1 of them running$/m);
  await cli.ok('rm', '-f', 'up');
});

test('without a daemon every verb says which address, and how to start one', async () => {
  await cli.daemon.stop();
  for (const args of [
    ['ps'],
    ['info'],
    ['events'],
    ['events', '--follow'],
    ['kill', 'x'],
    ['rm', 'x'],
    ['logs', 'x'],
  ]) {
    const { status, stderr } = await cli.run(args);
    assert.equal(status, 1, args.join(' '));
    assert.match(
      stderr,
      /^holdfast: no daemon answers on [^\n]*start one with "holdfastd --address [^\n]*\n$/,
      args.join(' '),
    );
    assert.ok(stderr.includes(cli.daemon.address));
  }
  assert.equal((await cli.run(cli.inRootfs('true'))).status, 125);
  assert.equal((await cli.run(['exec', 'x', 'true'])).status, 125);
  await cli.daemon.start();
});

test('address and namespace come from the environment too', async () => {
  await cli.ok(...cli.inRootfs('--name', 'c', 'true'));
  const [program, ...rest] = cli.command([]);
  const before = rest.slice(0, rest.indexOf('--address'));
  const env = { HOLDFAST_ADDRESS: cli.daemon.address, HOLDFAST_NAMESPACE: cli.daemon.namespace };
  assert.equal((await exec(program, [...before, 'ps', '-aq'], { env })).stdout, 'c\n');
  await cli.ok('rm', 'c');
});
