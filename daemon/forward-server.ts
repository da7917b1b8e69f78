import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { EVENT_SEQUENCE_KEY, EVENT_SHIM_KEY, EVENT_UNRECORDED_KEY } from '../common/bootstrap.ts';
import { invalidArgument } from '../common/errdefs.ts';
import { TtrpcServer } from '../common/ttrpc/server.ts';
import { EventsDefinition } from '../proto/gen/containerd/services/events/ttrpc/v1/events_ttrpc.ts';
import type { Peer } from './call.ts';
import { type ForwardParts, forwardEvent } from './events/forward.ts';
import { eventFromEnvelope } from './events/validate.ts';

/** Takes in the events of shims, over ttrpc. */
export interface ForwardServer {
  accept(socket: Socket, peer: Peer): void;
  close(): Promise<void>;
}

export const forwardServer = (parts: ForwardParts, log: Logger): ForwardServer => {
  const server = new TtrpcServer({
    onError: (error: unknown) => log.warn({ err: error }, 'a connection for events failed'),
  }).serve(EventsDefinition, {
    forward: async ({ envelope }, { metadata }) => {
      const shim = shimOf(metadata);
      await forwardEvent(parts, {
        ...eventFromEnvelope(envelope),
        ...(shim === undefined ? {} : { shim }),
        ...(metadata.has(EVENT_UNRECORDED_KEY) ? { unrecorded: true } : {}),
      });
      return {};
    },
  });
  return { accept: (socket, peer) => server.accept(socket, peer), close: () => server.close() };
};

/** Our own shims number their events; other shims have neither key. */
const shimOf = (
  metadata: ReadonlyMap<string, readonly string[]>,
): { readonly id: string; readonly sequence: bigint } | undefined => {
  const id = metadata.get(EVENT_SHIM_KEY)?.[0];
  const sequence = metadata.get(EVENT_SEQUENCE_KEY)?.[0];
  if (id === undefined || sequence === undefined) return undefined;
  if (!/^\d{1,18}$/.test(sequence))
    throw invalidArgument(`${EVENT_SEQUENCE_KEY} ${JSON.stringify(sequence)} is no number`);
  return { id, sequence: BigInt(sequence) };
};
