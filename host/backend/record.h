// Owner of the records of a rollout: sizes -> one allocation -> a Record of pointers.
#pragma once

#include <cstdint>

#include "host/backend/arena.h"
#include "host/backend/buffer.h"
#include "kernels/trajectory.h"

namespace lockstep {

/// What is recorded.
struct RecordShape {
  std::int64_t num_envs = 0;  // N
  std::int32_t T = 0;
  int O = 0, A = 0;
  bool obs_and_logits = false;  // else the gradient replays the environment from the actions
  bool logits = false;          // logits alone: the gradient replays the physics
  bool reward = false;          // reward differs from step to step
  bool advantage = false;       // for training, with `valid`
};

/// Groups and T of the shape; no field yet.
Record<float> empty_record(const RecordShape& shape);

/// Places every recorded field of `record`, an empty_record(shape); the others become null.
void place_record(Arena& arena, const RecordShape& shape, Record<float>& record);

/// Bytes recorded per environment step.
double record_bytes_per_step(const RecordShape& shape);

/// Errors: OutOfMemory, with the bytes wanted and allowed and the options that need fewer.
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
