// The two logs of a training run: metrics.jsonl, one flat JSON object a line under CleanRL's names,
// and a TensorBoard event file. When a log point is reached is the trainer's decision.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "host/files/durable_file.h"
#include "host/files/tfevents.h"
#include "host/update_metrics.h"

namespace lockstep {

/// The log files of one run folder.
///
/// metrics.jsonl has the keys update, global_step, episodes, charts/{episodic_return, batch_return,
/// episodic_length, learning_rate, eval_return}, losses/{policy_loss, entropy, grad_norm}, and the
/// times time/seconds, time/unix and charts/SPS (steps a second since the start). All but the times
/// repeat exactly from run to run. Numbers round-trip; one that is not finite is written as null,
/// which is what there is not, such as a mean of no episodes, and left out of the events. The row
/// of a run's end that is no point of --log-every has the key end: resume() takes it back.
///
/// Lines are buffered: they reach the kernel by 64 KiB, after a second, or by flush(), which
/// belongs before every checkpoint. There is no fsync: a power failure may cost the last log lines,
/// which a checkpoint, synced on its own, does not depend on.
///
/// The event file is a copy for a viewer: what goes wrong with it ends it, not the run, and is told
/// once to on_warning.
///
/// Cost:   append() about 2 us
/// Errors: IoError from every member but the destructor; what failed to be written is given up,
///         and every flush after it fails too: the log has no gap
class MetricsLog {
 public:
  static constexpr const char* kFileName = "metrics.jsonl";

  using Warn = std::function<void(const std::string&)>;

  /// Starts both logs in `folder`, which must exist.
  explicit MetricsLog(const std::filesystem::path& folder, Warn on_warning = {});
  /// Cuts both logs back to update `last_update` and goes on after it. Each is cut in one step, so
  /// that a crash leaves it before or after the cut. A torn last line is dropped, and so is the row
  /// of an end, which a run that went on would not have.
  /// Errors: BadInput if a line cannot be understood
  static MetricsLog resume(const std::filesystem::path& folder, std::int64_t last_update,
                           Warn on_warning = {});
  /// Flushes; an error is lost here, so call close() first.
  ~MetricsLog();
  MetricsLog(MetricsLog&&) noexcept = default;
  MetricsLog& operator=(MetricsLog&&) noexcept = default;

  void append(const UpdateMetrics& metrics);
  void flush();
  void close();

  /// The log points that resume() kept, oldest first.
  const std::vector<UpdateMetrics>& kept() const { return kept_; }
  /// The row of an end at `last_update` that resume() took back.
  const std::optional<UpdateMetrics>& earlier_end() const { return earlier_end_; }

 private:
  MetricsLog(FileHandle file, Warn on_warning);
  template <class Step>
  void with_events(const Step& step);

  FileHandle file_;
  Warn on_warning_;
  std::optional<EventWriter> events_;  // none after a failure
  std::string buffer_;
  std::uint64_t size_ = 0;  // bytes of metrics.jsonl
  double last_flush_ = 0;   // seconds since 1970
  bool lost_ = false;       // a flush failed
  std::vector<UpdateMetrics> kept_;
  std::optional<UpdateMetrics> earlier_end_;
};

/// One line of metrics.jsonl with its '\n'. `unix_time` in seconds since 1970.
std::string metrics_line(const UpdateMetrics& metrics, double unix_time);

/// The log points of a metrics.jsonl, oldest first; null reads as NaN, a torn last line is left
/// out. Errors: BadInput with path and line number
std::vector<UpdateMetrics> read_metrics(const std::filesystem::path& path);

}  // namespace lockstep
