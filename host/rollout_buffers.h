// Owner of the records of a rollout: sizes -> one allocation -> a Record of pointers.
#pragma once

#include <cstdint>

#include "host/buffer.h"
#include "kernels/trajectory.h"

namespace lockstep {

/// What is recorded.
struct RecordShape {
  std::int64_t num_envs = 0;  // N
  std::int32_t T = 0;
  int O = 0, A = 0;
  bool obs_and_logits = false;  // else the gradient replays the environment from the actions
  bool reward = false;          // reward differs from step to step
  bool advantage = false;       // for training
};

/// Bytes recorded per environment step.
double record_bytes_per_step(const RecordShape& shape);

/// Errors: OutOfMemory, with the bytes wanted and the memory of the machine.
class RolloutBuffers {
 public:
  RolloutBuffers() = default;
  explicit RolloutBuffers(const RecordShape& shape);
  const Record<float>& record() const { return record_; }

 private:
  Buffer<std::byte> arena_;
  Record<float> record_{};
};

}  // namespace lockstep
