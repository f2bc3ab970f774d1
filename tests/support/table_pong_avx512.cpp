// The table operations of Pong for the tests, avx512; compiled with the flags of that instruction
// set.
#define LS_ISA_AVX512 1
#include "kernels/cpu/table_instantiate.h"

#include "envs/pong_objects.h"

LS_INSTANTIATE_TABLES(pong, lockstep::ObjectPong)
