import * as grpc from '@grpc/grpc-js';
import { TtrpcClient } from '../../common/ttrpc/client.ts';
import { empties, nested } from './wire-bytes.ts';

// A program of its own, so that its own work is not taken for the daemon's: sends requests of empty fields to a gRPC or
// ttrpc socket, some at a time, and prints which codes they were answered with.

const [protocol = '', socket = '', seconds = ''] = process.argv.slice(2);
const AT_ONCE = 4;
const GRPC_BYTES = 15 << 20;
const TTRPC_BYTES = (4 << 20) - 1024;
const end = performance.now() + Number(seconds) * 1000;
const seen = new Map<string, number>();

/** Method → its request. The fields: labels, extensions, rootfs mounts, filters, resources, an event's envelope. */
const targets = (bytes: number): [path: string, request: Buffer][] => [
  ['containerd.services.containers.v1.Containers/Create', nested(1, empties(2, bytes))],
  ['containerd.services.containers.v1.Containers/Create', nested(1, empties(10, bytes))],
  ['containerd.services.containers.v1.Containers/Update', empties(1, bytes)],
  ['containerd.services.containers.v1.Containers/List', empties(1, bytes)],
  ['containerd.services.tasks.v1.Tasks/Create', empties(3, bytes)],
  ['containerd.services.leases.v1.Leases/Create', empties(3, bytes)],
  ['containerd.services.events.v1.Events/Publish', empties(2, bytes)],
];

const floodGrpc = async (): Promise<void> => {
  const requests = targets(GRPC_BYTES);
  const flood = async (index: number): Promise<void> => {
    const client = new grpc.Client(`unix:${socket}`, grpc.credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
    const metadata = new grpc.Metadata();
    metadata.set('containerd-namespace', 'flood');
    for (let round = index; performance.now() < end; round += 1) {
      const [path, request] = requests[round % requests.length] ?? ['', Buffer.alloc(0)];
      const { promise, resolve } = Promise.withResolvers<string>();
      const same = (bytes: Buffer): Buffer => bytes;
      client.makeUnaryRequest(`/${path}`, same, same, request, metadata, (error) =>
        resolve(`${path.split('.').at(-1)} ${error?.code ?? 0}`),
      );
      count(await promise);
    }
    client.close();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => flood(index)));
};

/** Of a shim's Task API, or of the daemon's service for events: whichever there is refuses for its own reason. */
const ttrpcTargets: [service: string, method: string, request: Buffer][] = [
  ['containerd.task.v2.Task', 'Create', empties(3, TTRPC_BYTES)],
  ['containerd.task.v2.Task', 'Update', empties(3, TTRPC_BYTES)],
  ['containerd.services.events.ttrpc.v1.Events', 'Forward', empties(1, TTRPC_BYTES)],
];

const floodTtrpc = async (): Promise<void> => {
  const flood = async (index: number): Promise<void> => {
    const client = await TtrpcClient.connect(socket, { timeoutMs: 5_000 });
    for (let round = index; performance.now() < end; round += 1) {
      const [service, name, request] = ttrpcTargets[round % ttrpcTargets.length] ?? ['', '', Buffer.alloc(0)];
      const codec = { encode: (bytes: Buffer) => ({ finish: () => bytes }), decode: (bytes: Buffer) => bytes };
      const method = {
        name,
        requestType: codec,
        requestStream: false,
        responseType: codec,
        responseStream: false,
      } as const;
      const definition = { fullName: service, methods: { method } };
      const code = await client.call(definition, 'method', request).then(
        () => 0,
        (error: { code?: number }) => error.code ?? -1,
      );
      count(`${name} ${code}`);
    }
    client.close();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => flood(index)));
};

const count = (outcome: string): void => void seen.set(outcome, (seen.get(outcome) ?? 0) + 1);

await (protocol === 'grpc' ? floodGrpc() : floodTtrpc());
console.log(JSON.stringify(Object.fromEntries(seen)));
