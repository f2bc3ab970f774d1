// The list of environments a program was linked with. CMake's lockstep_environment_list() makes the
// one translation unit that defines it; nothing registers itself at start-up.
#pragma once

#include <span>
#include <string>

#include "kernels/environment_facts.h"
#include "kernels/fixed_point.h"

namespace lockstep {

namespace cpu {  // kernels/cpu/launchers.h, kernels/cpu/table_launchers.h
template <class Real, class Acc>
struct Operations;
using FloatOperations = Operations<float, FixedPoint>;
struct TableOperations;
}  // namespace cpu

/// One environment: of numbers (envs/env.h) or of objects (envs/object_env.h).
struct EnvironmentEntry {
  const EnvironmentFacts* facts;
  // by instruction set: scalar, avx2, avx512; null where not built or of the other kind
  const cpu::FloatOperations* operations[3];
  const cpu::TableOperations* tables[3];

  bool has_objects() const { return facts->tables != nullptr; }
};

std::span<const EnvironmentEntry> environment_entries();

/// Errors: InvalidArgument for an unknown name, listing the known ones.
const EnvironmentEntry& find_environment(const std::string& name);

}  // namespace lockstep

#ifdef LS_HAVE_AVX512
#define LS_DECLARE_OPERATIONS(Operations, prefix, name) \
  extern const Operations prefix##_##name##_scalar;     \
  extern const Operations prefix##_##name##_avx2;       \
  extern const Operations prefix##_##name##_avx512;
#define LS_LIST_OPERATIONS(prefix, name)                                              \
  {                                                                                   \
    &lockstep::cpu::prefix##_##name##_scalar, &lockstep::cpu::prefix##_##name##_avx2, \
        &lockstep::cpu::prefix##_##name##_avx512                                      \
  }
#else
#define LS_DECLARE_OPERATIONS(Operations, prefix, name) \
  extern const Operations prefix##_##name##_scalar;
#define LS_LIST_OPERATIONS(prefix, name) \
  { &lockstep::cpu::prefix##_##name##_scalar, nullptr, nullptr }
#endif

#define LS_DECLARE_ENVIRONMENT(name)                       \
  namespace lockstep::cpu {                                \
  extern const EnvironmentFacts environment_facts_##name;  \
  LS_DECLARE_OPERATIONS(FloatOperations, operations, name) \
  }                                                        \
  static const lockstep::EnvironmentEntry name = {         \
      &lockstep::cpu::environment_facts_##name, LS_LIST_OPERATIONS(operations, name), {}};

#define LS_DECLARE_OBJECTS(name)                          \
  namespace lockstep::cpu {                               \
  extern const EnvironmentFacts environment_facts_##name; \
  LS_DECLARE_OPERATIONS(TableOperations, tables, name)    \
  }                                                       \
  static const lockstep::EnvironmentEntry name = {        \
      &lockstep::cpu::environment_facts_##name, {}, LS_LIST_OPERATIONS(tables, name)};

#define LS_ENVIRONMENT_LIST(...)                                                \
  std::span<const lockstep::EnvironmentEntry> lockstep::environment_entries() { \
    static const EnvironmentEntry entries[] = {__VA_ARGS__};                    \
    return entries;                                                             \
  }
