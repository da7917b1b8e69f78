import * as grpc from '@grpc/grpc-js';

/**
 * Refuses compressed requests, as containerd does: no client sends any, and 16 kB of them become 16 MiB each before
 * anybody has looked at one. grpc-js would take them, and has no setting for it; it removes the header before an
 * interceptor could see it, so the place is read where it remembers it.
 */
export const refuseCompression: grpc.ServerInterceptor = (_, call) => {
  const { incomingEncoding = 'identity' } = call as unknown as { readonly incomingEncoding?: string };
  if (incomingEncoding !== 'identity') {
    call.sendStatus({
      code: grpc.status.UNIMPLEMENTED,
      details: `grpc: Decompressor is not installed for grpc-encoding ${JSON.stringify(incomingEncoding)}`,
      metadata: null,
    });
  }
  // Nothing is wrapped: a call that goes on costs nothing, and one that has its status hears nothing more.
  return call as grpc.ServerInterceptingCall;
};
