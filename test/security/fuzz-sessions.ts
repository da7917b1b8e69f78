import http2 from 'node:http2';
import { connect, type Socket } from 'node:net';
import { encodeFrame, frameTypes } from '../../common/ttrpc/frame.ts';
import { ContainersDefinition } from '../../proto/gen/containerd/services/containers/v1/containers.ts';
import { EventsDefinition as TtrpcEventsDefinition } from '../../proto/gen/containerd/services/events/ttrpc/v1/events_ttrpc.ts';
import { EventsDefinition } from '../../proto/gen/containerd/services/events/v1/events.ts';
import { IntrospectionDefinition } from '../../proto/gen/containerd/services/introspection/v1/introspection.ts';
import { LeasesDefinition } from '../../proto/gen/containerd/services/leases/v1/leases.ts';
import { NamespacesDefinition } from '../../proto/gen/containerd/services/namespaces/v1/namespaces.ts';
import { TasksDefinition } from '../../proto/gen/containerd/services/tasks/v1/tasks.ts';
import { VersionDefinition } from '../../proto/gen/containerd/services/version/v1/version.ts';
import { TaskDefinition } from '../../proto/gen/containerd/task/v2/task_v2.ts';
import { HealthDefinition } from '../../proto/gen/grpc/health/v1/health.ts';
import { Request } from '../../proto/gen/ttrpc/ttrpc.ts';
import type { Random } from '../chaos/random.ts';
import { within } from '../harness/wait.ts';
import { mutated, randomBytes, randomMessage } from './mutate.ts';

// One connection each, on which a hostile peer says some things and hangs up. Each fails if it is not let go in time.

/** Frames or messages on one connection. */
export const SESSION_FRAMES = 50;
/** How long a server may take to let go a peer that has hung up, ms. */
const LET_GO_MS = 10_000;

interface Codec {
  encode(message: never): { finish(): Uint8Array };
  fromPartial(object: never): unknown;
}
interface Target {
  readonly service: string;
  readonly method: string;
  /** A request that is right. */
  readonly request: Buffer;
}

const targetsOf = (
  ...definitions: readonly {
    readonly fullName: string;
    readonly methods: Readonly<Record<string, { readonly name: string; readonly requestType: Codec }>>;
  }[]
): readonly Target[] =>
  definitions.flatMap(({ fullName: service, methods }) =>
    Object.values(methods).map(({ name: method, requestType }) => ({
      service,
      method,
      request: Buffer.from(requestType.encode(requestType.fromPartial(SAMPLE as never) as never).finish()),
    })),
  );

const ANY = { typeUrl: 'containerd.events.TaskExit', value: Buffer.from([0x0a, 1, 102]) };
/** Of everything that a request may hold. It names nothing that exists: what hits must do no harm. */
const SAMPLE = {
  id: 'f',
  containerId: 'f',
  execId: 'f',
  name: 'f',
  service: '',
  filters: ['id==f'],
  filter: 'name==f',
  labels: new Map([['k', 'v']]),
  container: { id: 'f', runtime: { name: 'io.containerd.nope.v1' }, spec: ANY, labels: new Map([['k', 'v']]) },
  updateMask: ['labels'],
  resource: { id: 'f', type: 'content' },
  spec: ANY,
  options: ANY,
  resources: ANY,
  bundle: '/no/such/bundle',
  rootfs: [{ type: 'bind', source: '/no/such', options: ['ro'] }],
  stdin: '/no/such',
  signal: 9,
  width: 80,
  pid: 1,
  topic: '/tasks/exit',
  event: ANY,
  envelope: { namespace: 'f', topic: '/tasks/exit', timestamp: { seconds: 1n, nanos: 1 }, event: ANY },
};

const grpcTargets = targetsOf(
  ContainersDefinition,
  EventsDefinition,
  HealthDefinition,
  IntrospectionDefinition,
  LeasesDefinition,
  NamespacesDefinition,
  TasksDefinition,
  VersionDefinition,
);
const ttrpcTargets = targetsOf(TaskDefinition, TtrpcEventsDefinition);

/** What a hostile peer sends to a method. */
const payload = (random: Random, { request }: Target): Buffer => {
  const kind = random.next();
  if (kind < 0.2) return request;
  if (kind < 0.6) return mutated(random, request);
  return kind < 0.9 ? randomMessage(random) : randomBytes(random, 100);
};

/** Messages of any content on a gRPC connection that is as it should be. */
export const grpcMessages = async (path: string, random: Random): Promise<void> => {
  const session = http2.connect('http://localhost', { createConnection: () => connect(path) });
  session.on('error', () => undefined);
  const ended = Array.from({ length: SESSION_FRAMES }, () => {
    const target = random.pick(grpcTargets);
    const stream = session.request({
      ':method': 'POST',
      ':path': `/${target.service}/${target.method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': '50m', // streams end with it
      ...(random.next() < 0.9 ? { 'containerd-namespace': 'fuzz' } : {}),
    });
    const message = payload(random, target);
    const header = Buffer.alloc(5);
    const wrongBy = random.next() < 0.05 ? random.between(-2, 2) : 0;
    header.writeUInt32BE(Math.max(0, message.length + wrongBy), 1);
    if (random.next() < 0.02) header[0] = 1;
    stream.on('error', () => undefined).resume();
    stream.end(Buffer.concat([header, message]));
    return new Promise((resolve) => stream.on('close', resolve));
  });
  await within(LET_GO_MS, 'an answer to each message', Promise.all(ended));
  session.destroy();
};

/** Frames of HTTP/2 of any content, the first of them often right. */
export const http2Frames = (path: string, random: Random): Promise<void> => {
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  const frames = Array.from({ length: SESSION_FRAMES }, (_, index) => http2Frame(random, 2 * index + 1));
  const start = random.next() < 0.9 ? preface : mutated(random, preface);
  return say(path, random, [start, h2(4, 0, 0, Buffer.alloc(0)), ...frames]);
};

const h2 = (type: number, flags: number, streamId: number, bytes: Buffer): Buffer => {
  const header = Buffer.alloc(9);
  header.writeUIntBE(bytes.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, bytes]);
};

const http2Frame = (random: Random, streamId: number): Buffer => {
  const target = random.pick(grpcTargets);
  const [HEADERS, DATA, END_HEADERS, END_STREAM] = [1, 0, 4, 1];
  const call = Buffer.concat([
    h2(HEADERS, END_HEADERS, streamId, headerBlock(target)),
    h2(DATA, END_STREAM, streamId, Buffer.concat([Buffer.from([0, 0, 0, 0, target.request.length]), target.request])),
  ]);
  const kind = random.next();
  if (kind < 0.5) return call;
  if (kind < 0.7) return mutated(random, call);
  return h2(random.between(0, 10), random.between(0, 255), random.between(0, 9), randomBytes(random, 60));
};

/** HPACK without compression: each field a literal with a new name. Source: RFC 7541, 6.2.2. */
const headerBlock = ({ service, method }: Target): Buffer => {
  const fields = {
    ':method': 'POST',
    ':scheme': 'http',
    ':path': `/${service}/${method}`,
    ':authority': 'localhost',
    'content-type': 'application/grpc',
    te: 'trailers',
    'containerd-namespace': 'fuzz',
  };
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  return Buffer.concat(Object.entries(fields).flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
};

/** Frames of ttrpc of any content. */
export const ttrpcFrames = (path: string, random: Random): Promise<void> =>
  say(
    path,
    random,
    Array.from({ length: SESSION_FRAMES }, (_, index) => ttrpcFrame(random, 2 * index + 1)),
  );

const ttrpcFrame = (random: Random, streamId: number): Buffer => {
  const target = random.pick(ttrpcTargets);
  const { service, method } = target;
  const metadata = [{ key: 'containerd-namespace-ttrpc', value: 'fuzz' }];
  const request = Request.create({
    service,
    method,
    payload: payload(random, target),
    metadata,
    timeoutNano: 10n ** 9n,
  });
  const whole = Buffer.from(Request.encode(request).finish());
  const kind = random.next();
  const body = kind < 0.6 ? whole : kind < 0.8 ? mutated(random, whole) : randomBytes(random, 100);
  const odd = random.next() < 0.1;
  const frame = encodeFrame({
    streamId: odd ? random.between(0, 200) : streamId,
    type: odd ? random.between(0, 255) : frameTypes.request,
    flags: odd ? random.between(0, 255) : 0,
    payload: body,
  });
  return random.next() < 0.02 ? mutated(random, frame) : frame;
};

/** Sends pieces, sometimes one byte at a time or cut in the end, and hangs up; resolves when the server has let go. */
const say = async (path: string, random: Random, pieces: readonly Buffer[]): Promise<void> => {
  const socket = connect(path);
  socket.on('error', () => undefined).resume();
  const closed = new Promise((resolve) => socket.on('close', resolve)); // an error on the way is no matter
  await Promise.race([new Promise((resolve) => socket.on('connect', resolve)), closed]);
  const whole = Buffer.concat(pieces);
  const bytes = random.next() < 0.3 ? whole.subarray(0, random.between(0, whole.length)) : whole;
  const first = random.between(0, bytes.length);
  socket.write(bytes.subarray(0, first));
  if (random.next() < 0.2) await new Promise(setImmediate); // so that it comes in two
  socket.write(bytes.subarray(first));
  hangUp(socket, random);
  await within(LET_GO_MS, 'to be let go', closed);
};

const hangUp = (socket: Socket, random: Random): void => void (random.next() < 0.8 ? socket.end() : socket.destroy());
