// Tests for kernels/cpu/table_update.h: the optimiser over arrays and the making of tables.
#include "kernels/cpu/table_update.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tests/support/table_reference.h"

namespace lockstep {
namespace table_update_test {

using test::TableRun;
using test::TableSettings;

class TableUpdateTest : public testing::TestWithParam<const cpu::TableOperations*> {};
INSTANTIATE_TEST_SUITE_P(Isas, TableUpdateTest, testing::ValuesIn(test::usable_tables()),
                         [](const auto& isa) { return isa.param->isa; });

std::vector<float> numbers(std::size_t n, std::uint32_t which, float scale) {
  std::vector<float> out(n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto r = random_words<std::uint32_t>({9, 0}, Purpose::kInit, 0, which,
                                               static_cast<std::uint32_t>(i));
    out[i] = (uniform<float>(r.w[0]) - 0.5f) * scale;
  }
  return out;
}

TEST_P(TableUpdateTest, OptimiserIsTheElementwiseOne) {
  const std::size_t n = 1003;  // no multiple of a vector
  for (const auto rule : {OptimizerRule::kAdam, OptimizerRule::kSgd, OptimizerRule::kRmsprop}) {
    const OptimizerArgs args{rule, 0.01f, 0.999f, 1e-3f, 0.5f, 0.9f,
                             0.1f, 0.99f, 0.01f,  0.3f,  1e-8f};
    const auto grad = numbers(n, 1, 2);
    auto parameter = numbers(n, 2, 1), m = numbers(n, 3, 0.1f), v = numbers(n, 4, 0.1f);
    for (float& x : v) x = x * x;
    auto parameter2 = parameter, m2 = m, v2 = v;
    for (std::size_t i = 0; i < n; ++i) {
      optimizer_step(args, grad[i], parameter[i], m[i], v[i]);
    }
    const auto size = static_cast<std::int64_t>(n);
    const auto step = [&] {
      return GetParam()->optimize(args, size, grad.data(), parameter2.data(), m2.data(), v2.data());
    };
    const std::uint32_t most = step();
    EXPECT_EQ(std::memcmp(parameter.data(), parameter2.data(), n * 4), 0);
    EXPECT_EQ(std::memcmp(m.data(), m2.data(), n * 4), 0);
    EXPECT_EQ(std::memcmp(v.data(), v2.data(), n * 4), 0);
    const auto largest = [&](const std::vector<float>& x) {
      return GetParam()->largest(size, x.data());
    };
    EXPECT_EQ(most, std::max({largest(parameter2), largest(m2), largest(v2)}));
    for (std::vector<float>* has_it : {&parameter2, &m2, &v2}) {
      parameter2 = parameter;
      m2 = m;
      v2 = v;
      (*has_it)[n / 2] = 1e12f;
      const std::uint32_t told = step();
      EXPECT_EQ(told, std::max({largest(parameter2), largest(m2), largest(v2)}));
      EXPECT_GT(told, most);
    }
  }
}

TEST_P(TableUpdateTest, RowsAreSumsOverTheirPixelsInOrder) {
  TableSettings s;
  s.envs = 1;
  s.T = 1;
  s.hidden = 40;
  TableRun run(*GetParam(), s);
  test::initialise(run, 3);
  for (int r = 0; r < run.shape.rows; ++r) {
    std::uint16_t pixel[ObjectPong::kMaxRowPixels];
    const int count = ObjectPong::pixels(r, pixel);
    for (int j = 0; j < 48; ++j) {
      float sum = 0;
      for (int i = 0; i < count; ++i) sum += run.parameters[pixel[i] * 48 + j];
      ASSERT_EQ(run.rows[r * 48 + j], sum) << "row " << r << " unit " << j;
    }
  }
}

TEST_P(TableUpdateTest, OnlyTheRowsAskedForAreMade) {
  TableSettings s;
  s.envs = 1;
  s.T = 1;
  s.hidden = 16;
  TableRun run(*GetParam(), s);
  test::initialise(run, 3);
  run.rows.zero();
  run.ops.build(run.shape, {run.light_start.data(), run.light.data()}, run.parameters.data(), 100,
                200, run.rows.data());
  for (int r = 0; r < run.shape.rows; ++r) {
    ASSERT_EQ(run.rows[r * 16] != 0, r >= 100 && r < 200) << r;
  }
}

TEST_P(TableUpdateTest, AWholeUpdateHasTheBitsOfTheScalarOne) {
  TableSettings s;
  s.envs = 3;
  s.T = 1300;
  s.hidden = 24;
  const auto train = [&](const cpu::TableOperations& ops) {
    TableRun run(ops, s);
    test::initialise(run, 5);
    for (std::uint32_t update = 0; update < 3; ++update) {
      run.play(update, ActionChoice::kSample, true);
      run.estimate();
      EXPECT_TRUE(run.gradient());
      run.apply();
    }
    return std::vector<float>(run.parameters.data(), run.parameters.data() + run.count());
  };
  const auto want = train(cpu::tables_pong_scalar);
  s.threads = 2;
  const auto got = train(*GetParam());
  EXPECT_EQ(std::memcmp(want.data(), got.data(), want.size() * sizeof(float)), 0);
}

}  // namespace table_update_test
}  // namespace lockstep
