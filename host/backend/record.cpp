// What a record of a shape has; see record.h.
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

bool records(const RecordShape& shape, RecordField field) {
  switch (field) {
    case RecordField::kObs:
      return shape.obs_and_logits;
    case RecordField::kLogits:
      return shape.obs_and_logits || shape.logits;
    case RecordField::kReward:
      return shape.reward;
    case RecordField::kValue:
    case RecordField::kNextValue:
      return shape.value;
    case RecordField::kAdvantage:
    case RecordField::kValid:
      return shape.advantage;
    case RecordField::kAction:
    case RecordField::kActionBits:
    case RecordField::kTerminated:
    case RecordField::kTruncated:
    case RecordField::kSteps:
      return true;
  }
  return false;
}

void place_record(Arena& arena, const RecordShape& shape, Record<float>& record) {
  for_each_field(
      shape.O, shape.A,
      [&](RecordField field, std::int64_t count, auto*& place) {
        arena.place(place, records(shape, field) ? count : 0);
      },
      record);
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
    throw OutOfMemory(
        std::string(error.what()) + "; fewer --envs" +
        (shape.value ? " or a shorter --horizon" : ", a shorter --horizon or --store recompute") +
        " shrink a rollout");
  }
  Arena arena(arena_.data());
  place_record(arena, shape, record_);
}

}  // namespace lockstep
