import type * as grpc from '@grpc/grpc-js';
import { Metadata } from '@grpc/grpc-js';
import type { Logger } from 'pino';
import { decodeBounded } from '../common/bounded-decode.ts';
import { CodedError, codeOf, codes, messageOf } from '../common/errdefs.ts';
import { NAMESPACE_KEY } from '../common/namespace.ts';
import type { Call, Definition, Service } from './call.ts';
import { peerOf } from './peer.ts';

/** gRPC metadata key of the lease that protects what a call makes. */
const LEASE_KEY = 'containerd-lease';

/** Longest status text, UTF-8 bytes; a longer one (an id that somebody made huge) is cut in its middle. */
const STATUS_BYTES_MAX = 4096;

export interface ServeOptions {
  readonly log: Logger;
  /** Aborts when the daemon begins to stop; its reason is what streams then end with. */
  readonly stopping: AbortSignal;
  /** Aborts when the grace is over that single calls have. */
  readonly cut: AbortSignal;
  /** Holds each call from its arrival until its status has been sent, or its client is gone. */
  readonly underWay: Set<object>;
}

type Handler = (request: unknown, call: Call) => unknown;
type AnyCall = grpc.ServerUnaryCall<unknown, unknown> &
  grpc.ServerReadableStream<unknown, unknown> &
  grpc.ServerWritableStream<unknown, unknown>;

/** Turns a service into what grpc-js takes: the one place where errors become statuses and calls are logged. */
export const serveOn = (server: grpc.Server, { definition, handlers }: Service, options: ServeOptions): void => {
  const implementation: grpc.UntypedServiceImplementation = {};
  const [singles, streams] = [callsUntil(options.cut), callsUntil(options.stopping)];
  for (const [key, method] of Object.entries(definition.methods)) {
    const handler = handlers[key] as Handler;
    const path = `/${definition.fullName}/${method.name}`;
    const serve = method.responseStream
      ? streaming(path, method, handler, { ...options, calls: streams })
      : single(path, method, handler, { ...options, calls: singles });
    implementation[key] = serve as grpc.UntypedHandleCall; // its kind is the method's
  }
  server.addService(grpcDefinition(definition), implementation);
};

type Method = Definition['methods'][string];

interface CallOptions extends ServeOptions {
  /** What aborts a call's signal, while it is under way. */
  readonly calls: Set<AbortController>;
}

/** Calls that end when `signal` aborts. AbortSignal.any for each of them would make a small call a quarter dearer. */
const callsUntil = (signal: AbortSignal): Set<AbortController> => {
  const calls = new Set<AbortController>();
  signal.addEventListener('abort', () => calls.forEach((call) => call.abort(signal.reason)), { once: true });
  return calls;
};

const single =
  (path: string, method: Method, handler: Handler, options: CallOptions) =>
  (call: AnyCall, reply: grpc.sendUnaryData<unknown>): void => {
    void answer(path, method, call, options, async (request, context) => {
      const response = await handler(request, context);
      return () => reply(null, response);
    }).then((error) => {
      if (error !== undefined) reply(status(error));
    });
  };

const streaming =
  (path: string, method: Method, handler: Handler, options: CallOptions) =>
  (call: AnyCall): void => {
    void answer(path, method, call, options, async (request, context) => {
      const messages = handler(request, context) as AsyncIterable<unknown>;
      // A client may wait for the headers before it goes on; without this they would leave with the first message.
      call.sendMetadata(new Metadata());
      for await (const message of messages) {
        await written(call, message, context.signal);
      }
      return () => call.end();
    }).then((error) => {
      if (error !== undefined) call.emit('error', status(error));
    });
  };

/** Runs a call and logs it. Gives the error that the client is to be told, or undefined when it was answered. */
const answer = async (
  path: string,
  method: Method,
  call: AnyCall,
  { log, stopping, calls, underWay }: CallOptions,
  run: (request: unknown, context: Call) => Promise<() => void>,
): Promise<CodedError | undefined> => {
  const began = performance.now();
  const controller = new AbortController();
  underWay.add(call);
  calls.add(controller);
  // Despite its name this comes at the end of every call, after its status was sent.
  call.on('cancelled', () => {
    underWay.delete(call);
    calls.delete(controller);
    controller.abort(new CodedError(codes.canceled, 'context canceled'));
  });
  const request = requestOf(method, call);
  const context = contextOf(path, call, request, controller.signal, log);
  try {
    stopping.throwIfAborted();
    if (request instanceof CodedError) throw request;
    const send = await run(request, context);
    send();
    context.log.debug({ durationMs: since(began) }, 'call');
    return undefined;
  } catch (thrown) {
    const error =
      thrown instanceof CodedError ? thrown : new CodedError(codeOf(thrown), messageOf(thrown), { cause: thrown });
    if (thrown === request) context.log.debug({ code: error.code, err: error.message }, 'request refused');
    else logFailure(context, error, since(began));
    return error;
  }
};

/** Codes that are ordinary answers: clients probe with calls that they expect to fail. */
const ORDINARY: ReadonlySet<number> = new Set([
  codes.notFound,
  codes.alreadyExists,
  codes.canceled,
  codes.invalidArgument,
  codes.failedPrecondition,
  codes.outOfRange,
  codes.unimplemented,
]);

const logFailure = ({ log, signal }: Call, error: CodedError, durationMs: number): void => {
  const fields = { code: error.code, durationMs };
  if (signal.reason === error) log.debug({ ...fields, err: error.message }, 'call ended');
  else if (ORDINARY.has(error.code)) log.debug({ ...fields, err: fit(error.message) }, 'call refused');
  // What a runtime refuses is somebody's mistake, not ours: one line, without a stack.
  else if (error.code === codes.unknown && !isBug(error))
    log.warn({ ...fields, err: fit(error.message) }, 'call failed');
  else log.warn({ ...fields, err: error }, 'call failed');
};

/** Something was thrown that nobody meant to throw. */
const isBug = ({ cause }: CodedError): boolean => cause instanceof Error && !(cause instanceof CodedError);

/**
 * The message or messages of a call; of one message that cannot be read, the error that says so. Decoded here and not
 * by grpc-js, which would take every refusal for INTERNAL.
 */
const requestOf = (method: Method, call: AnyCall): unknown => {
  if (method.requestStream) return decodedStream(method, call);
  try {
    return decoded(method, call.request as Buffer); // as requestDeserialize leaves it
  } catch (error) {
    return error;
  }
};

/** Whoever has read enough of a client's stream can still answer: the call is not destroyed with the reading. */
async function* decodedStream(method: Method, call: AnyCall): AsyncGenerator {
  for await (const bytes of call.iterator({ destroyOnReturn: false })) yield decoded(method, bytes as Buffer);
}

/** ResourceExhausted: too many fields. Internal, as with Go's servers: it is no such message. */
const decoded = (method: Method, bytes: Buffer): unknown => {
  try {
    return decodeBounded(method.requestType, bytes, `request of ${method.name}`);
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw new CodedError(codes.internal, `grpc: error unmarshalling request: ${messageOf(error)}`);
  }
};

const contextOf = (path: string, call: AnyCall, request: unknown, signal: AbortSignal, log: Logger): Call => {
  const metadata = textMetadata(call.metadata);
  const namespace = metadata.get(NAMESPACE_KEY)?.[0];
  const lease = metadata.get(LEASE_KEY)?.[0];
  const deadlineMs = remaining(call.getDeadline());
  const peer = peerOf(call.getPeer());
  return {
    metadata,
    signal,
    log: log.child({ call: path, namespace, container: containerOf(path, request), peer: peer?.pid }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(lease === undefined ? {} : { lease }),
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
    ...(peer === undefined ? {} : { peer }),
  };
};

/** The container that a request is about, for the log. */
const containerOf = (path: string, request: unknown): string | undefined => {
  if (typeof request !== 'object' || request === null) return undefined;
  const { containerId, container, id } = request as {
    containerId?: unknown;
    container?: { id?: unknown };
    id?: unknown;
  };
  const found = containerId ?? container?.id ?? (path.includes('.Containers/') ? id : undefined);
  return typeof found === 'string' && found !== '' ? fit(found) : undefined;
};

const textMetadata = (metadata: Metadata): ReadonlyMap<string, readonly string[]> => {
  const result = new Map<string, string[]>();
  for (const key of Object.keys(metadata.getMap())) {
    const texts = metadata.get(key).filter((value) => typeof value === 'string');
    if (texts.length > 0) result.set(key, texts);
  }
  return result;
};

const remaining = (deadline: Date | number): number | undefined => {
  const at = Number(deadline);
  return Number.isFinite(at) ? Math.max(0, at - Date.now()) : undefined;
};

/** Writes one message and waits until the connection has taken it: a reader that is slow slows only its own call. */
const written = async (call: AnyCall, message: unknown, signal: AbortSignal): Promise<void> => {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', onAbort, { once: true });
  call.write(message, () => resolve());
  try {
    await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
};

const status = (error: CodedError): grpc.ServiceError =>
  // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- our codes have gRPC's numbers
  Object.assign(new Error(error.message), {
    code: error.code,
    details: fit(error.message),
    metadata: new Metadata(),
  });

/** Status texts travel percent-encoded in a header: no lone surrogates, no unbounded length; the end matters to clients. */
const fit = (text: string): string => {
  const whole = text.toWellFormed();
  if (Buffer.byteLength(whole) <= STATUS_BYTES_MAX) return whole;
  const half = STATUS_BYTES_MAX / 8; // characters; each may take four bytes
  return `${whole.slice(0, half)} … ${whole.slice(-half)}`.toWellFormed();
};

const since = (began: number): number => Math.round((performance.now() - began) * 10) / 10;

const grpcDefinition = (definition: Definition): grpc.ServiceDefinition =>
  Object.fromEntries(
    Object.entries(definition.methods).map(([key, method]) => [
      key,
      {
        path: `/${definition.fullName}/${method.name}`,
        requestStream: method.requestStream,
        responseStream: method.responseStream,
        requestSerialize: encode(method.requestType),
        requestDeserialize: (bytes: Buffer) => bytes,
        responseSerialize: encode(method.responseType),
        responseDeserialize: (bytes: Buffer) => method.responseType.decode(bytes),
      },
    ]),
  );

const encode =
  (type: Method['requestType']) =>
  (message: unknown): Buffer => {
    const bytes = type.encode(message as never).finish();
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
