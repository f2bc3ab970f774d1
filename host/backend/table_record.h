// Records of a rollout of a table policy: sizes -> one arena -> a TableRecord of pointers.
#pragma once

#include "host/backend/arena.h"
#include "kernels/object_tables.h"

namespace lockstep {

/// What is recorded, beside rewards, rows and activity.
struct TableRecordShape {
  std::int64_t num_envs = 0;
  std::int32_t T = 0;
  TableShape table{};
  bool steps = false;     // logits, actions, ends; else they are the caller's
  bool training = false;  // advantages and integers
  bool leaky = false;     // in training: a second integer
  bool marks = false;     // in training: which steps count, as bits
  bool critic = false;    // in training: what a critic needs instead of activity and integers
};

/// Groups and T of the shape; no field yet.
TableRecord empty_table_record(const TableRecordShape& shape);
/// Places what the shape asks for; other fields stay as they are.
void place_table_record(Arena& arena, const TableRecordShape& shape, TableRecord& record);

}  // namespace lockstep
