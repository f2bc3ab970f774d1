// Tests for bench/floors.h.
#include "bench/floors.h"

#include <gtest/gtest.h>

#include <regex>

namespace lockstep::bench {
namespace floors_test {

const Sizes kSizes;

void add(Measurements& to, const std::string& name, double rate, double seconds = 1,
         double peak = 0) {
  Measurement& m = to.rows[name];
  for (const double factor : {0.99, 1.0, 1.02}) {
    m.counters[counter::kRate].push_back(rate * factor);
    m.counters[counter::kPeak].push_back(peak);
    m.seconds.push_back(seconds);
    m.wall.push_back(seconds);
  }
}

std::string name(const char* op, const std::string& backend) {
  return benchmark_name(op, backend, kSizes.num_envs, kSizes.steps);
}

/// Every row of the table, under the names the library gives, just above its floor.
Measurements good() {
  Measurements m;
  add(m, name(op::kEnvironment, backend_name(Isa::kAvx512, 1)), 1.1e9, 1.0);
  add(m, name(op::kEnvironment, backend_name(Isa::kAvx2, 1)), 0.8e9);
  add(m, name(op::kEnvironment, backend_name(Isa::kAvx512, 2)) + "/real_time", 2e9, 0.5);
  add(m, name(op::kPolicy, backend_name(Isa::kAvx512, 1)), 80e6, 1, 86);
  add(m, name(op::kPolicy, kOpByOpBackend), 20e6);
  add(m, name(op::kTraining, backend_name(Isa::kAvx512, 1)), 30e6, 1, 20);
  add(m, name(op::kTraining, kOpByOpBackend), 8e6);
  add(m, benchmark_name(op::kSolve, "cpu_avx512_x1") + "/iterations:1/manual_time", 0, 2e-3);
  add(m, benchmark_name(op::kProcess, "all_cores") + "/iterations:1/manual_time", 0, 50e-3);
  const PongNames pong(kSizes);
  const std::string once = "/iterations:1/manual_time";
  add(m, pong.environment(Isa::kAvx512), 1.1e8);
  add(m, pong.ale() + once, 1.0e4);
  add(m, pong.policy(Isa::kAvx512), 12e6);
  add(m, pong.dense_forward(), 3.5e4);
  add(m, pong.training(Isa::kAvx512) + once, 7e6);
  add(m, pong.dense_training(), 2e4);
  add(m, pong.fixed(Isa::kAvx512) + once, 0, 1.5e-3);
  return m;
}

int rows_below(const Measurements& measurements) {
  int below = 0;
  for (const FloorRow& row : floor_table(measurements, kSizes)) below += row.ok() ? 0 : 1;
  return below;
}

TEST(FloorTableTest, IsAllOkAboveTheFloors) { EXPECT_EQ(rows_below(good()), 0); }

TEST(FloorTableTest, TakesMedianAndBest) {
  const FloorRow row = floor_table(good(), kSizes).front();
  EXPECT_EQ(row.value, 1.1e9);
  EXPECT_EQ(row.best, 1.1e9 * 1.02);
}

TEST(FloorTableTest, EveryFloorIsHeld) {
  const auto below = [](const std::string& row, double rate, double seconds, double peak) {
    Measurements m = good();
    m.rows.erase(row);
    add(m, row, rate, seconds, peak);
    return rows_below(m);
  };
  const std::string x1 = backend_name(Isa::kAvx512, 1);
  EXPECT_EQ(below(name(op::kEnvironment, x1), 0.9e9, 1.0, 0), 1);
  EXPECT_EQ(below(name(op::kEnvironment, backend_name(Isa::kAvx2, 1)), 0.6e9, 1, 0), 1);
  EXPECT_EQ(
      below(name(op::kEnvironment, backend_name(Isa::kAvx512, 2)) + "/real_time", 2e9, 0.6, 0), 1);
  EXPECT_EQ(below(name(op::kPolicy, x1), 70e6, 1, 86), 1);
  EXPECT_EQ(below(name(op::kPolicy, x1), 80e6, 1, 84), 1);
  EXPECT_EQ(below(name(op::kTraining, x1), 24.5e6, 1, 20), 1);
  EXPECT_EQ(below(name(op::kTraining, kOpByOpBackend), 11e6, 1, 0), 1);
  EXPECT_EQ(
      below(benchmark_name(op::kSolve, "cpu_avx512_x1") + "/iterations:1/manual_time", 0, 4e-3, 0),
      1);
  EXPECT_EQ(
      below(benchmark_name(op::kProcess, "all_cores") + "/iterations:1/manual_time", 0, 61e-3, 0),
      1);
}

TEST(FloorTableTest, PongsFloorsAreHeldAndAleIsOptional) {
  const PongNames pong(kSizes);
  const std::string once = "/iterations:1/manual_time";
  const auto below = [](const std::string& row, double rate, double seconds = 1) {
    Measurements m = good();
    EXPECT_EQ(m.rows.erase(row), 1u) << row;
    if (rate > 0 || seconds < 1) add(m, row, rate, seconds);
    return rows_below(m);
  };
  EXPECT_EQ(below(pong.environment(Isa::kAvx512), 0.9e8), 1);
  EXPECT_EQ(below(pong.ale() + once, 1.2e4), 1);
  EXPECT_EQ(below(pong.ale() + once, 0), 0);  // not installed
  EXPECT_EQ(below(pong.policy(Isa::kAvx512), 10.7e6), 1);
  EXPECT_EQ(below(pong.dense_forward(), 5e4), 1);
  EXPECT_EQ(below(pong.training(Isa::kAvx512) + once, 5.8e6, 2), 1);
  EXPECT_EQ(below(pong.dense_training(), 3e4), 1);
  EXPECT_EQ(below(pong.fixed(Isa::kAvx512) + once, 0, 2.1e-3), 1);
}

TEST(FloorTableTest, LargeRatiosAreWrittenOut) {
  EXPECT_NE(floor_text(floor_table(good(), kSizes), {}).find(" 11000x (10000x)"),
            std::string::npos);
}

TEST(FloorTableTest, WhatWasNotMeasuredIsNotOk) {
  EXPECT_EQ(rows_below(Measurements{}), 11);
  EXPECT_NE(floor_text(floor_table({}, kSizes), {}).find("not measured"), std::string::npos);
}

TEST(FloorFilterTest, SelectsTheRowsOfTheTableAndNoOthers) {
  const std::regex filter(floor_filter(kSizes));
  for (const auto& [row, measurement] : good().rows) {
    EXPECT_TRUE(std::regex_search(row, filter)) << row;
  }
  EXPECT_FALSE(std::regex_search(name(op::kRecompute, "cpu_avx512_x1"), filter));
  EXPECT_FALSE(std::regex_search(name(op::kTraining, "cpu_avx512_x2"), filter));
  EXPECT_FALSE(std::regex_search(benchmark_name(op::kPolicy, kOpByOpBackend, 1024, 500), filter));
}

}  // namespace floors_test
}  // namespace lockstep::bench
