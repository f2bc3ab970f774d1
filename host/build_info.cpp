#include "host/build_info.h"

#include "host/backend/threads.h"
#include "host/build_stamp.h"
#include "host/cpu/isa.h"

namespace lockstep {

BuildInfo build_info() {
  return {build_stamp::kVersion,   build_stamp::kCommit,   build_stamp::kCompiler,
          build_stamp::kBuildType, isa_name(choose_isa()), {"cpu"},
          default_threads()};
}

}  // namespace lockstep
