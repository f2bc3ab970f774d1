// See recorder.h.
#include "bench/recorder.h"

#include <algorithm>
#include <iterator>

namespace lockstep::bench {

bool Recorder::ReportContext(const Context& context) {
  return next_ == nullptr || next_->ReportContext(context);
}

void Recorder::ReportRuns(const std::vector<Run>& runs) {
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
