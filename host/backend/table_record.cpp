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
    case RecordField::kObs:
    case RecordField::kReward:
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
  if (shape.training) {
    arena.place(record.quantised, lanes);
    arena.place(record.quantised_leak, shape.leaky ? lanes : 0);
    arena.place(record.used, shape.marks ? record.steps.groups * kGroup : 0);
  }
  arena.place(record.reward, lanes);
  arena.place(record.incoming, words);
  arena.place(record.rows, lanes * shape.table.objects);
  arena.place(record.active, lanes * shape.table.words());
}

}  // namespace lockstep
