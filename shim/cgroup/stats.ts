import { packAny } from '../../common/any.ts';
import { Metrics as MetricsV1 } from '../../proto/gen/io/containerd/cgroups/v1/cgroups_v1.ts';
import { Metrics as MetricsV2 } from '../../proto/gen/io/containerd/cgroups/v2/cgroups_v2.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';
import { cgroupPaths } from './paths.ts';
import { statsV1 } from './stats-v1.ts';
import { statsV2 } from './stats-v2.ts';

/** The metrics of the cgroups that a process is in, of the type that fits their version. NotFound: it has ended. */
export const readStats = async (pid: number): Promise<Any> => {
  const paths = cgroupPaths(pid);
  const stats =
    paths.version === 2
      ? packAny('io.containerd.cgroups.v2.Metrics', MetricsV2, await statsV2(paths.directory))
      : packAny('io.containerd.cgroups.v1.Metrics', MetricsV1, await statsV1(paths.directories));
  cgroupPaths(pid); // if it has ended meanwhile, its cgroups may have gone and would have been read as zeros
  return stats;
};
