// What this build was made from. The values are written by cmake/build_stamp.cmake into a
// translation unit of its own, so that a new commit rebuilds that one and nothing else.
// Here are the names only; how they are shown is decided elsewhere.
#pragma once

namespace lockstep::build_stamp {

extern const char* const kVersion;    // "0.1.0"
extern const char* const kCommit;     // 12 hexadecimal digits, or "unknown" without git
extern const char* const kCompiler;   // "GNU 12.2.0"
extern const char* const kBuildType;  // "Release"
extern const char* const kFlags;      // flags of the build type; per-target ones not included

}  // namespace lockstep::build_stamp
