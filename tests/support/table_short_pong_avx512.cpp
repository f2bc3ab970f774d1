// The table operations of the short Pong for the tests, avx512.
#define LS_ISA_AVX512 1
#include "kernels/cpu/table_instantiate.h"

#include "tests/support/short_pong.h"

LS_INSTANTIATE_TABLE_BATCH(short_pong, lockstep::test::ShortPong)
LS_INSTANTIATE_TABLE_BATCH(rail_pong, lockstep::test::RailPong)
