#include "host/build_info.h"

#include "host/backend/cuda_plugin.h"
#include "host/backend/threads.h"
#include "host/build_stamp.h"
#include "host/cpu/isa.h"

namespace lockstep {

Build this_build() {
  return {build_stamp::kVersion, build_stamp::kCommit, build_stamp::kCompiler,
          build_stamp::kBuildType, isa_name(choose_isa())};
}

BuildInfo build_info() {
  BuildInfo info{this_build(), {"cpu"}, default_threads()};
  const CudaSupport& cuda = cuda_support();
  if (cuda.plugin != nullptr)
    info.backends.emplace_back(cuda.emulated ? "cuda (emulated)" : "cuda");
  return info;
}

}  // namespace lockstep
