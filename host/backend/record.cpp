// The field list of a rollout's records, once: counted first, then cut out of one arena.
#include "host/backend/record.h"

#include <string>

#include "host/errors.h"

namespace lockstep {
namespace {

std::int64_t record_bytes(const RecordShape& shape) {
  Record<float> record = empty_record(shape);
  return arena_bytes([&](Arena& arena) { place_record(arena, shape, record); });
}

}  // namespace

Record<float> empty_record(const RecordShape& shape) {
  Record<float> record{};
  record.groups = (shape.num_envs + kGroup - 1) / kGroup;
  record.T = shape.T;
  return record;
}

void place_record(Arena& arena, const RecordShape& s, Record<float>& r) {
  const std::int64_t words = r.groups * s.T;
  const std::int64_t lanes = words * kGroup;
  const bool logits = s.obs_and_logits || s.logits;
  arena.place(r.obs, s.obs_and_logits ? lanes * s.O : 0);
  arena.place(r.logits, logits ? lanes * logits_of(s.A) : 0);
  arena.place(r.reward, s.reward ? lanes : 0);
  arena.place(r.advantage, s.advantage ? lanes : 0);
  arena.place(r.action, s.A == 2 ? 0 : lanes);
  arena.place(r.action_bits, s.A == 2 ? words : 0);
  arena.place(r.terminated, words);
  arena.place(r.truncated, words);
  arena.place(r.valid, s.advantage ? words : 0);
  arena.place(r.steps, r.groups);
}

double record_bytes_per_step(const RecordShape& shape) {
  RecordShape large = shape;
  large.num_envs = 1 << 16;
  large.T = 1 << 10;
  return static_cast<double>(record_bytes(large)) / static_cast<double>(large.num_envs) /
         static_cast<double>(large.T);
}

RolloutBuffers::RolloutBuffers(const RecordShape& shape) : record_(empty_record(shape)) {
  try {
    arena_ = Buffer<std::byte>(record_bytes(shape));
  } catch (const OutOfMemory& error) {
    throw OutOfMemory(std::string(error.what()) +
                      "; fewer --envs, a shorter --horizon or --store recompute shrink a rollout");
  }
  Arena arena(arena_.data());
  place_record(arena, shape, record_);
}

}  // namespace lockstep
