// What this program was built from and runs on.
#pragma once

#include <string>
#include <vector>

namespace lockstep {

/// Facts about this build and machine, for `lockstep info`.
struct BuildInfo {
  std::string version, commit, compiler, build_type;
  std::string isa;                    // instruction set chosen: scalar, avx2 or avx512
  std::vector<std::string> backends;  // e.g. {"cpu"}
  int threads = 1;                    // cores available
};
BuildInfo build_info();

}  // namespace lockstep
