#include "host/backend/table_record.h"

namespace lockstep {

TableRecord empty_table_record(const TableRecordShape& shape) {
  TableRecord record{};
  record.steps.groups = (shape.num_envs + kGroup - 1) / kGroup;
  record.steps.T = shape.T;
  return record;
}

namespace {

/// Of the fields that table records share with those of numbers.
bool records(const TableRecordShape& shape, RecordField field) {
  switch (field) {
    case RecordField::kLogits:
    case RecordField::kActionBits:
    case RecordField::kTerminated:
    case RecordField::kTruncated:
    case RecordField::kSteps:
      return shape.steps;
    case RecordField::kAdvantage:
      return shape.training;
    case RecordField::kValid:
      return shape.training && shape.marks;
    case RecordField::kValue:
    case RecordField::kNextValue:
    case RecordField::kReward:
      return shape.critic;
    case RecordField::kObs:
    case RecordField::kAction:
      return false;
  }
  return false;
}

}  // namespace

void place_table_record(Arena& arena, const TableRecordShape& shape, TableRecord& record) {
  const std::int64_t words = record.steps.groups * shape.T, lanes = words * kGroup;
  for_each_field(
      0, 2,
      [&](RecordField field, std::int64_t count, auto*& place) {
        if (records(shape, field)) arena.place(place, count);  // else it may be the caller's
      },
      record.steps);
  const auto of = [&](bool who, std::int64_t count) { return who ? count : 0; };
  const bool critic = shape.critic, none = !critic;
  if (shape.training) {
    arena.place(record.quantised, of(none, lanes));
    arena.place(record.quantised_leak, of(none && shape.leaky, lanes));
    arena.place(record.used, of(none && shape.marks, record.steps.groups * kGroup));
    arena.place(record.rows_before, of(critic, record.steps.groups * kGroup * shape.table.objects));
  }
  arena.place(record.reward, lanes);
  arena.place(record.incoming, of(none, words));
  arena.place(record.rows, lanes * shape.table.objects);
  arena.place(record.active, of(none, lanes * shape.table.words()));
}

}  // namespace lockstep
