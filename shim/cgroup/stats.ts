import { packAny } from '../../common/any.ts';
import { Metrics as MetricsV1 } from '../../proto/gen/io/containerd/cgroups/v1/cgroups_v1.ts';
import { Metrics as MetricsV2 } from '../../proto/gen/io/containerd/cgroups/v2/cgroups_v2.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import { type CgroupPaths, requireCgroups } from './paths.ts';
import { statsV1 } from './stats-v1.ts';
import { statsV2 } from './stats-v2.ts';

/** The metrics of cgroups, of the type that fits their version. NotFound: they have been removed. */
export const readStats = async (paths: CgroupPaths): Promise<Any> => {
  const stats =
    paths.version === 2
      ? packAny('io.containerd.cgroups.v2.Metrics', MetricsV2, await statsV2(paths.directory))
      : packAny('io.containerd.cgroups.v1.Metrics', MetricsV1, await statsV1(paths.directories));
  requireCgroups(paths); // last: what had gone before would have been read as zeros
  return stats;
};
