// See recorder.h.
#include "bench/recorder.h"

#include <algorithm>
#include <iterator>
#include <system_error>
#include <utility>

#include "host/errors.h"
#include "host/files/durable_file.h"

namespace lockstep::bench {

ResultFile::ResultFile(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code error;
  const auto status = std::filesystem::status(path_, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw IoError("cannot write " + path_.string() +
                  ": not a regular file, and results are replaced with every row");
  }
  const DurableFile attempt(path_);  // leaves nothing
  reporter_.SetOutputStream(&text_);
  reporter_.SetErrorStream(&text_);
}

void ResultFile::begin(const benchmark::BenchmarkReporter::Context& context) {
  static_cast<void>(reporter_.ReportContext(context));
  write();
}

void ResultFile::add(const std::vector<benchmark::BenchmarkReporter::Run>& runs) {
  reporter_.ReportRuns(runs);
  write();
}

void ResultFile::write() const {
  std::ostringstream end;  // what the library puts behind the last row
  benchmark::JSONReporter closing;
  closing.SetOutputStream(&end);
  closing.Finalize();
  write_file_durably(path_, text_.str() + end.str());
}

bool Recorder::ReportContext(const Context& context) {
  if (file_ != nullptr) file_->begin(context);
  return next_ == nullptr || next_->ReportContext(context);
}

void Recorder::ReportRuns(const std::vector<Run>& runs) {
  if (file_ != nullptr) file_->add(runs);
  for (const Run& run : runs) {
    if (run.run_type != Run::RT_Iteration) continue;
    const std::string name = run.run_name.str();
    if (run.error_occurred) {
      if (failure_.empty()) failure_ = name + ": " + run.error_message;
      continue;
    }
    Measurement& m = measurements_.rows[name];
    const double turns = static_cast<double>(run.iterations);
    m.wall.push_back(run.real_accumulated_time / turns);
    m.seconds.push_back(judged_by_wall(name) ? m.wall.back() : run.cpu_accumulated_time / turns);
    for (const auto& [key, value] : run.counters) m.counters[key].push_back(value.value);
  }
  if (next_ == nullptr) return;
  std::vector<Run> shown;
  std::copy_if(runs.begin(), runs.end(), std::back_inserter(shown), [](const Run& run) {
    return run.error_occurred || run.repetitions <= 1 || run.run_type == Run::RT_Aggregate;
  });
  next_->ReportRuns(shown);
}

void Recorder::Finalize() {
  if (next_ != nullptr) next_->Finalize();
}

}  // namespace lockstep::bench
