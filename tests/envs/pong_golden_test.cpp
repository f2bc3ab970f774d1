// Pong against recordings of ale-py and Gymnasium: RAM, pictures, rewards and ends, bit for bit.
// The same live and at length: tests/python/ale_parity.py.
#include <gtest/gtest.h>

#include "tests/support/pong_golden.h"

namespace lockstep {
namespace pong_golden_test {

TEST(PongGoldenTest, EqualsRecordingsOfAle) {
  const auto cases = test::read_pong_golden("tests/golden/pong_ale.txt");
  ASSERT_EQ(cases.size(), 14u);
  long records = 0;
  for (const auto& golden : cases) {
    SCOPED_TRACE(golden.name);
    std::uint32_t crc = 0;
    long n = 0;
    std::size_t checked = 0;
    bool same = true;
    test::play_golden(golden, [&](const test::PongRecord& record) {
      crc = test::crc32(&record, sizeof record, crc);
      const auto sum = golden.sums.find(++n);
      if (sum == golden.sums.end() || !same) return;
      ++checked;
      same = crc == sum->second;
      EXPECT_TRUE(same) << "differs in record " << n << " or not long before";
    });
    EXPECT_TRUE(!same || checked == golden.sums.size());
    records += n;
  }
  EXPECT_GT(records, 100000);
}

}  // namespace pong_golden_test
}  // namespace lockstep
