import { setTimeout as sleep } from 'node:timers/promises';
import { packAny } from '../../common/any.ts';
import { ContainerUpdate, TaskExit } from '../../proto/gen/containerd/events/event_payloads.ts';
import type { Envelope } from '../../proto/gen/containerd/types/types.ts';
import { run } from './daemon-harness.ts';
import { type Clients, container, longLabel, namespace, same } from './daemon-side-by-side.ts';

same('a container is made', (to) => to.containers.create({ container: container() }));

same('a namespace that holds a container is not deleted', (to) => to.namespaces.delete({ name: 'test' }));
same('a namespace that is not there is deleted', (to) => to.namespaces.delete({ name: 'none' }));
same('a namespace that is not there is got', (to) => to.namespaces.get({ name: 'none' }));
same('a namespace is made', (to) => to.namespaces.create({ namespace: { name: 'n1', labels: new Map([['a', 'b']]) } }));
same('a namespace that is there', (to) => to.namespaces.create({ namespace: { name: 'n1', labels: new Map() } }));
same('a namespace with a wrong name', (to) => to.namespaces.create({ namespace: { name: 'n 1', labels: new Map() } }));
same('a namespace with a label too long', (to) =>
  to.namespaces.create({ namespace: { name: 'n2', labels: longLabel } }),
);
same('no namespace', (to) => to.namespaces.create({ namespace: undefined }));
same('a namespace gets labels, and loses others', async (to) => {
  const update = (labels: [string, string][], updateMask: string[] | undefined) =>
    to.namespaces.update({ namespace: { name: 'n1', labels: new Map(labels) }, updateMask });
  await update([['c', 'd']], ['labels.c']);
  await update([], ['labels.a']);
  const masked = await to.namespaces.get({ name: 'n1' });
  await update([['e', 'f']], undefined);
  return [masked, await to.namespaces.get({ name: 'n1' })];
});
same("a namespace's name cannot be updated", (to) =>
  to.namespaces.update({ namespace: { name: 'n1', labels: new Map() }, updateMask: ['name'] }),
);
same('namespaces are listed', (to) => to.namespaces.list({ filter: '' }));

same('a lease is made', (to) =>
  to.leases.create({
    id: 'l',
    labels: new Map([
      ['a', 'b'],
      ['empty', ''],
    ]),
  }),
);
same('a lease that is there', (to) => to.leases.create({ id: 'l', labels: new Map() }));
same('a lease with slashes and spaces in its id', (to) => to.leases.create({ id: '/a/b c', labels: new Map() }));
same('leases are listed', (to) => to.leases.list({ filters: [] }));
same('leases are listed by label', (to) => to.leases.list({ filters: ['labels.a==b'] }));
same('leases are listed by a wrong filter', (to) => to.leases.list({ filters: ['id='] }));
for (const [type, id] of [
  ['content', 'x'],
  ['content', `sha256:${'a'.repeat(64)}`],
  ['content', `sha256:${'A'.repeat(64)}`],
  ['content', 'sha256:aa'],
  ['content', 'md5:aa'],
  ['content/x', 'x'],
  ['ingests', 'r'],
  ['ingests/x', 'r'],
  ['snapshots', 'x'],
  ['snapshots/overlayfs', 'x'],
  ['snapshots/a/b', 'x'],
  ['other', 'x'],
  ['', 'x'],
] as const) {
  same(`a lease gets resource ${type} ${id}`, (to) => to.leases.addResource({ id: 'l', resource: { type, id } }));
}
same('a lease that is not there gets a resource', (to) =>
  to.leases.addResource({ id: 'none', resource: { type: 'other', id: 'x' } }),
);
same('resources of a lease are listed', (to) => to.leases.listResources({ id: 'l' }));
same('resources of no lease are listed', (to) => to.leases.listResources({ id: 'none' }));
same('a resource is taken from a lease', (to) =>
  to.leases.deleteResource({ id: 'l', resource: { type: 'snapshots/overlayfs', id: 'x' } }),
);
same('a resource that a lease has not', (to) =>
  to.leases.deleteResource({ id: 'l', resource: { type: 'ingests', id: 'none' } }),
);
same('a lease is deleted', (to) => to.leases.delete({ id: 'l', sync: true }));
same('a lease that is not there is deleted', (to) => to.leases.delete({ id: 'l', sync: false }));

const payload = packAny('containerd.events.TaskExit', TaskExit, {
  containerId: 'a',
  id: 'a',
  pid: 5,
  exitStatus: 3,
  exitedAt: undefined,
});
for (const topic of ['', '/', 'x', '/a', '/a//b', '/a/b c', `/${'x'.repeat(77)}`]) {
  same(`an event is published to ${JSON.stringify(topic)}`, (to) => to.events.publish({ topic, event: payload }));
}
same('an event is published without a namespace', (to) =>
  to.events.publish({ topic: '/a', event: payload }, namespace('')),
);
const envelope = { timestamp: { seconds: 5n, nanos: 6 }, namespace: 'a', topic: '/x', event: payload };
for (const [name, change] of Object.entries({
  'as it should be': {},
  'of the year 1970': { timestamp: { seconds: 0n, nanos: 0 } },
  'without a namespace': { namespace: '' },
  'with a wrong namespace': { namespace: '/' },
  'without a topic': { topic: '' },
  'without a time': { timestamp: undefined },
  "with Go's zero time": { timestamp: { seconds: -62_135_596_800n, nanos: 0 } },
})) {
  same(`an event ${name} is forwarded`, (to) => to.events.forward({ envelope: { ...envelope, ...change } }));
}

/** Topics that a subscriber with this filter gets of two events. */
const subscribed = async (to: Clients, filter: string): Promise<string[]> => {
  const stream = to.events.subscribe({ filters: [filter] });
  const topics: string[] = [];
  stream.on('data', (event: Envelope) => topics.push(event.topic)).on('error', () => undefined);
  await sleep(100); // until it is subscribed: containerd sends its headers with the first event
  await to.events.publish({ topic: '/tasks/exit', event: payload });
  const update = { id: 'a', image: 'i', labels: new Map([['x.y', '1']]), snapshotKey: '' };
  const labelled = packAny('containerd.events.ContainerUpdate', ContainerUpdate, update);
  await to.events.publish({ topic: '/containers/update', event: labelled });
  await sleep(100);
  stream.cancel();
  return topics;
};
for (const filter of [
  '',
  'event.container_id==a',
  'event.container_id==b',
  'topic=="/tasks/exit"',
  'topic~=|^/tasks/|',
  'namespace==test',
  'namespace==no',
  'event.pid==5',
  'event.exit_status',
  'event.none',
  'event',
  'event.labels.x.y==1',
  'event.id==a,topic~=|containers|',
  'timestamp',
]) {
  same(`events are subscribed to with ${JSON.stringify(filter)}`, (to) => subscribed(to, filter));
}

same('the health of the whole', (to) => to.health.check({ service: '' }));
same('the health of no service', (to) => to.health.check({ service: 'none' }));

for (const args of [
  ['ns', 'ls'],
  ['ns', 'create', 'c1', 'x=y'],
  ['ns', 'create', 'c1'],
  ['ns', 'label', 'c1', 'z=1'],
  ['ns', 'ls'],
  ['ns', 'ls', '-q'],
  ['ns', 'rm', 'c1'],
  ['ns', 'rm', 'c1'],
  ['-n', 'test', 'c', 'ls'],
  ['-n', 'test', 'c', 'ls', '-q'],
  ['-n', 'test', 'c', 'label', 'a', 'c=', 'd=', 'n=1'],
  ['-n', 'test', 'c', 'ls', 'labels.n==1'],
  ['-n', 'test', 'c', 'ls', 'labels=='],
  ['-n', 'none', 'c', 'info', 'x'],
  ['leases', 'create', '--id', 'l1'],
  ['leases', 'ls', '-q'],
  ['leases', 'rm', 'l1'],
  ['leases', 'rm', 'l1'],
] as const) {
  same(`ctr ${args.join(' ')}`, async ({ address }) => run('ctr', '--address', address, ...args));
}
