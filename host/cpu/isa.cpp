// Choice of the instruction set at run time.
#include "host/cpu/isa.h"

#include <cstdlib>
#include <string>

#include "host/errors.h"
#include "host/text.h"

namespace lockstep {
namespace {

constexpr const char* kNames[] = {"scalar", "avx2", "avx512"};

bool processor_has([[maybe_unused]] Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return true;
#ifdef LS_HAVE_AVX2
    case Isa::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
#ifdef LS_HAVE_AVX512
    case Isa::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("fma");
#endif
    default:
      return false;
  }
}

}  // namespace

const char* isa_name(Isa isa) { return kNames[static_cast<int>(isa)]; }

Isa choose_isa() {
  const char* wish = std::getenv("LS_ISA");
  if (wish == nullptr || *wish == '\0') {
    for (const Isa isa : {Isa::kAvx512, Isa::kAvx2}) {
      if (processor_has(isa)) return isa;
    }
    return Isa::kScalar;
  }
  for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512}) {
    if (std::string(wish) != isa_name(isa)) continue;
    if (processor_has(isa)) return isa;
    throw DeviceUnavailable(std::string("LS_ISA: this processor or build has no ") + isa_name(isa));
  }
  throw InvalidArgument("LS_ISA: " + in_quotes(wish) + " is not one of scalar, avx2, avx512");
}

const cpu::FloatOperations& operations_for(const EnvironmentEntry& entry, Isa isa) {
  return *entry.operations[static_cast<int>(isa)];
}
const cpu::TableOperations& table_operations_for(const EnvironmentEntry& entry, Isa isa) {
  return *entry.tables[static_cast<int>(isa)];
}

}  // namespace lockstep
