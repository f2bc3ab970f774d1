// Takes measurements from a run as it happens.
#pragma once

#include <benchmark/benchmark.h>

#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "bench/measurements.h"

namespace lockstep::bench {

/// Keeps a file with all that has been reported, repetitions and what is made of them: Google
/// Benchmark's JSON, complete after every row, so that nothing is lost with the process.
class ResultFile {
 public:
  /// Writes nothing yet.
  /// Errors: IoError if the file could not be written, or is none that can be replaced.
  explicit ResultFile(std::filesystem::path path);
  /// Errors: IoError.
  void begin(const benchmark::BenchmarkReporter::Context& context);
  void add(const std::vector<benchmark::BenchmarkReporter::Run>& runs);

 private:
  void write() const;

  std::filesystem::path path_;
  std::ostringstream text_;  // without its end
  benchmark::JSONReporter reporter_;
};

/// Remembers every repetition; passes them on to another reporter, if given, or only what is made
/// of them (mean, median, deviation) where there are several; and all of them to a file, if given.
class Recorder : public benchmark::BenchmarkReporter {
 public:
  explicit Recorder(std::unique_ptr<benchmark::BenchmarkReporter> next,
                    std::unique_ptr<ResultFile> file = nullptr)
      : next_(std::move(next)), file_(std::move(file)) {}
  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& runs) override;
  void Finalize() override;

  const Measurements& measurements() const { return measurements_; }
  /// Name and message of the first row that failed; empty if none did.
  const std::string& failure() const { return failure_; }

 private:
  std::unique_ptr<benchmark::BenchmarkReporter> next_;
  std::unique_ptr<ResultFile> file_;
  Measurements measurements_;
  std::string failure_;
};

}  // namespace lockstep::bench
