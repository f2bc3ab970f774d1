// Records of a rollout: sizes -> one allocation -> a Record of pointers, and what is done with all
// of its fields. The list of them is for_each_field() of kernels/trajectory.h.
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
  bool value = false;           // of a critic
};

/// Whether a record of this shape has the field.
bool records(const RecordShape& shape, RecordField field);

/// Groups and T of the shape; no field yet.
Record<float> empty_record(const RecordShape& shape);

/// Places every recorded field of `record`, an empty_record(shape); the others become null.
void place_record(Arena& arena, const RecordShape& shape, Record<float>& record);

/// Calls copy(to, from, values) for every field that both records have. Shapes: of `to`
template <class Copy>
void copy_record(int O, int A, const Record<float>& to, const Record<float>& from, Copy&& copy) {
  for_each_field(
      O, A,
      [&](RecordField, std::int64_t count, auto* field, const auto* source) {
        if (field != nullptr && source != nullptr && count > 0) copy(field, source, count);
      },
      to, from);
}

/// What a record has of one environment, by step. Fields that it has not are not asked for.
class RecordedEnv {
 public:
  RecordedEnv(const Record<float>& record, int O, int A, std::int64_t env)
      : record_(record), O_(O), A_(A), first_(env / kGroup * record.T), lane_(env % kGroup) {}

  float obs(std::int64_t t, int o) const { return at(record_.obs, t, O_, o); }
  float logit(std::int64_t t, int z) const { return at(record_.logits, t, logits_of(A_), z); }
  /// 1 where rewards are not recorded, for all are that then.
  float reward(std::int64_t t) const {
    return record_.reward == nullptr ? 1.0f : at(record_.reward, t, 1, 0);
  }
  float advantage(std::int64_t t) const { return at(record_.advantage, t, 1, 0); }
  std::uint8_t action(std::int64_t t) const {
    return A_ == 2 ? bit(record_.action_bits, t) : at(record_.action, t, 1, 0);
  }
  std::uint8_t terminated(std::int64_t t) const { return bit(record_.terminated, t); }
  std::uint8_t truncated(std::int64_t t) const { return bit(record_.truncated, t); }
  std::uint8_t valid(std::int64_t t) const { return bit(record_.valid, t); }

 private:
  template <class T>
  T at(const T* field, std::int64_t t, int fields, int i) const {
    return field[((first_ + t) * fields + i) * kGroup + lane_];
  }
  std::uint8_t bit(const std::uint16_t* words, std::int64_t t) const {
    return static_cast<std::uint8_t>((words[first_ + t] >> lane_) & 1);
  }

  const Record<float>& record_;
  int O_, A_;
  std::int64_t first_, lane_;  // step 0 of the group; the environment in it
};

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
