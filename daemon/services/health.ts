import { CodedError, codes } from '../../common/errdefs.ts';
import {
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthDefinition,
} from '../../proto/gen/grpc/health/v1/health.ts';
import { type Service, service } from '../call.ts';

export interface HealthParts {
  /** Resolves when every shim is loaded or given up on. dockerd waits for SERVING before it asks for its containers. */
  readonly ready: Promise<void>;
  /** Aborts when the daemon stops. */
  readonly stopping: AbortSignal;
}

/** Only the server as a whole has a health: service "". */
export const healthService = (parts: HealthParts): Service => {
  let ready = false;
  void parts.ready.then(() => (ready = true));
  const status = (): ServingStatus =>
    ready && !parts.stopping.aborted ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;

  return service(HealthDefinition, {
    check: ({ service: name }) => {
      if (name !== '') throw new CodedError(codes.notFound, 'unknown service');
      return { status: status() };
    },
    list: () => ({ statuses: new Map([['', { status: status() }]]) }),
    watch: async function* ({ service: name }, call) {
      const known = name === '';
      yield { status: known ? status() : ServingStatus.SERVICE_UNKNOWN };
      if (known && !ready) {
        await Promise.race([parts.ready, aborted(call.signal)]);
        yield { status: status() };
      }
      await aborted(call.signal);
    },
  });
};

/** Rejects with the signal's reason once it aborts. */
const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const end = (): void => reject(signal.reason as Error);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
