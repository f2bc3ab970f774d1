// Takes measurements from a run as it happens.
#pragma once

#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "bench/measurements.h"

namespace lockstep::bench {

/// Remembers every repetition; passes them on to another reporter, if given, or only what is made
/// of them (mean, median, deviation) where there are several.
class Recorder : public benchmark::BenchmarkReporter {
 public:
  explicit Recorder(std::unique_ptr<benchmark::BenchmarkReporter> next) : next_(std::move(next)) {}
  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& runs) override;
  void Finalize() override;

  const Measurements& measurements() const { return measurements_; }
  /// Name and message of the first row that failed; empty if none did.
  const std::string& failure() const { return failure_; }

 private:
  std::unique_ptr<benchmark::BenchmarkReporter> next_;
  Measurements measurements_;
  std::string failure_;
};

}  // namespace lockstep::bench
