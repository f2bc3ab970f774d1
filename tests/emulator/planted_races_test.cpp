// Missing barriers, fences and atomics: which build notices which, in which order of threads. A
// blank that starts to be caught, or a catch that is lost, fails here.
#include "tests/emulator/planted_races.h"

#include <gtest/gtest.h>

namespace cuemu_test {
namespace planted_races_test {

constexpr int kPlainSeeds = 10;
constexpr int kSanitizerSeeds = kThreadBuild ? 2 : 5;

struct Row {
  const char* name;
  Body clean;  ///< the same kernel without the bug
  Body planted;
  const char* plain;     ///< forward, reverse, random, random with 4 blocks resident
  char address, thread;  ///< in random order
};

std::ostream& operator<<(std::ostream& os, const Row& row) { return os << row.name; }

#define CUEMU_ROW(body, plain, address, thread) \
  Row { #body, body < false>, body < true>, plain, address, thread }

// two bugs of one kernel
const auto product_without_barrier_before = product<true, false>;
const auto product_without_barrier_after = product<false, true>;
const auto product_right = product<false, false>;

const Row kRows[] = {
    CUEMU_ROW(global_overrun, "....", 'A', '.'),
    CUEMU_ROW(shared_overrun, "WWWW", 'U', 'T'),
    CUEMU_ROW(reduce_without_barrier, "W.ww", 'w', 'T'),
    CUEMU_ROW(reuse_without_barrier, "....", '.', 'T'),
    CUEMU_ROW(early_return_before_shuffle, "SSSS", 'S', 'S'),
    CUEMU_ROW(early_return_before_barrier, "SSSS", 'S', 'S'),
    {"product_without_barrier_before", product_right, product_without_barrier_before, "WWWW", 'W',
     'T'},
    {"product_without_barrier_after", product_right, product_without_barrier_after, "WWWW", 'W',
     'T'},
    CUEMU_ROW(scan_without_barrier, "W.WW", 'W', 'T'),
    CUEMU_ROW(flag_without_fence, "....", '.', 'T'),
    CUEMU_ROW(exchange_without_syncwarp, "WWWW", 'W', 'T'),
    CUEMU_ROW(add_without_atomic, "....", '.', 'T'),
};

class PlantedRace : public testing::TestWithParam<Row> {};

TEST_P(PlantedRace, IsCaughtAsTheTableSays) {
  const Row& row = GetParam();
  if (kPlainBuild) {
    std::string letters;
    letters += run_child({.order = "forward"}, row.planted).letter;
    letters += run_child({.order = "reverse"}, row.planted).letter;
    letters += run_seeds({}, kPlainSeeds, row.planted);
    letters += run_seeds({.resident = 4}, kPlainSeeds, row.planted);
    EXPECT_EQ(letters, row.plain);
  } else {
    const char expected = kAddressBuild ? row.address : row.thread;
    EXPECT_EQ(run_seeds({}, kSanitizerSeeds, row.planted), expected);
  }
}

TEST_P(PlantedRace, IsSilentWithoutTheBug) {
  const Row& row = GetParam();
  for (const char* order : {"forward", "reverse"}) {
    const Outcome outcome = run_child({.order = order}, row.clean);
    EXPECT_EQ(outcome.letter, kClean) << order << ": " << outcome.text;
  }
  for (const int resident : {1, 4}) {
    EXPECT_EQ(run_seeds({.resident = resident}, kSanitizerSeeds, row.clean), kClean);
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, PlantedRace, testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace planted_races_test
}  // namespace cuemu_test
