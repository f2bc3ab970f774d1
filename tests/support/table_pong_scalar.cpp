// The table operations of Pong for the tests, without instruction-set flags; and its facts.
#define LS_ISA_SCALAR 1
#include "kernels/cpu/table_instantiate.h"

#include "envs/pong_objects.h"

LS_INSTANTIATE_TABLES(pong, lockstep::ObjectPong)
