// The list of environments a program was linked with. CMake's lockstep_environment_list() makes the
// one translation unit that defines it; nothing registers itself at start-up.
#pragma once

#include <span>
#include <string>

#include "kernels/cpu/launchers.h"

namespace lockstep {

struct EnvironmentEntry {
  const cpu::EnvironmentFacts* facts;
  const cpu::FloatOperations* operations[3];  // scalar, avx2, avx512; null where not built
};

std::span<const EnvironmentEntry> environment_entries();

/// Errors: InvalidArgument for an unknown name, listing the known ones.
const EnvironmentEntry& find_environment(const std::string& name);

}  // namespace lockstep

#ifdef LS_HAVE_AVX512
#define LS_DECLARE_ENVIRONMENT(name)                                                         \
  namespace lockstep::cpu {                                                                  \
  extern const EnvironmentFacts environment_facts_##name;                                    \
  extern const FloatOperations operations_##name##_scalar;                                   \
  extern const FloatOperations operations_##name##_avx2;                                     \
  extern const FloatOperations operations_##name##_avx512;                                   \
  }                                                                                          \
  static const lockstep::EnvironmentEntry name = {                                           \
      &lockstep::cpu::environment_facts_##name,                                              \
      {&lockstep::cpu::operations_##name##_scalar, &lockstep::cpu::operations_##name##_avx2, \
       &lockstep::cpu::operations_##name##_avx512}};
#else
#define LS_DECLARE_ENVIRONMENT(name)                       \
  namespace lockstep::cpu {                                \
  extern const EnvironmentFacts environment_facts_##name;  \
  extern const FloatOperations operations_##name##_scalar; \
  }                                                        \
  static const lockstep::EnvironmentEntry name = {         \
      &lockstep::cpu::environment_facts_##name,            \
      {&lockstep::cpu::operations_##name##_scalar, nullptr, nullptr}};
#endif

#define LS_ENVIRONMENT_LIST(...)                                                \
  std::span<const lockstep::EnvironmentEntry> lockstep::environment_entries() { \
    static const EnvironmentEntry entries[] = {__VA_ARGS__};                    \
    return entries;                                                             \
  }
