// What this program was built from and runs on.
#pragma once

#include <string>
#include <vector>

namespace lockstep {

/// Facts about this build and the instruction set it chose; costs nothing to ask.
struct Build {
  std::string version, commit, compiler, build_type;
  std::string isa;  // scalar, avx2 or avx512
};
Build this_build();

/// The same with what this machine offers, for `lockstep info`.
struct BuildInfo : Build {
  /// Where it can compute: "cpu", and "cuda", or "cuda (emulated)", if there is a plug-in that
  /// loads, with devices or without.
  std::vector<std::string> backends;
  int threads = 1;  // cores available
};
/// Loads the CUDA plug-in, once a process.
BuildInfo build_info();

}  // namespace lockstep
