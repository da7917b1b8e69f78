import { invalidArgument } from '../../common/errdefs.ts';
import { requireNamespace } from '../../common/namespace.ts';
import { nanosFromTimestamp } from '../../common/timestamp.ts';
import { DiffDefinition } from '../../proto/gen/containerd/services/diff/v1/diff.ts';
import { type Service, service } from '../call.ts';
import { applyDiff, type DiffParts } from '../diff/apply.ts';
import { compareDiff } from '../diff/compare.ts';

export const diffService = (parts: DiffParts): Service =>
  service(DiffDefinition, {
    apply: async ({ diff, mounts, syncFs }, call) => {
      const namespace = requireNamespace(call.namespace);
      if (diff === undefined) throw invalidArgument('a diff descriptor is required');
      return { applied: await applyDiff(parts, { namespace, diff, mounts, options: { syncFs } }, call.signal) };
    },
    diff: async (request, call) => {
      const { left, right, mediaType, ref, labels, sourceDateEpoch } = request;
      const latestTime = sourceDateEpoch === undefined ? undefined : nanosFromTimestamp(sourceDateEpoch);
      const asked = { namespace: requireNamespace(call.namespace), left, right, mediaType, ref, labels, latestTime };
      return { diff: await compareDiff(parts, { ...asked, lease: call.lease }, call.signal) };
    },
  });
