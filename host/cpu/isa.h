// Which instruction set the CPU backend uses: the widest the processor has, or what LS_ISA says.
#pragma once

#include "host/backend/environments.h"

namespace lockstep {

enum class Isa : int { kScalar = 0, kAvx2 = 1, kAvx512 = 2 };

const char* isa_name(Isa isa);

/// Errors: InvalidArgument if LS_ISA is not scalar, avx2 or avx512; DeviceUnavailable if this
/// processor or build does not have it.
Isa choose_isa();

/// The environment's operations for an instruction set this build has.
const cpu::FloatOperations& operations_for(const EnvironmentEntry& entry, Isa isa);
const cpu::TableOperations& table_operations_for(const EnvironmentEntry& entry, Isa isa);

}  // namespace lockstep
