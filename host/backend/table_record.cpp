#include "host/backend/table_record.h"

namespace lockstep {

TableRecord empty_table_record(const TableRecordShape& shape) {
  TableRecord record{};
  record.steps.groups = (shape.num_envs + kGroup - 1) / kGroup;
  record.steps.T = shape.T;
  return record;
}

void place_table_record(Arena& arena, const TableRecordShape& shape, TableRecord& record) {
  Record<float>& steps = record.steps;
  const std::int64_t words = steps.groups * shape.T, lanes = words * kGroup;
  if (shape.steps) {
    arena.place(steps.logits, lanes);
    arena.place(steps.action_bits, words);
    arena.place(steps.terminated, words);
    arena.place(steps.truncated, words);
    arena.place(steps.steps, steps.groups);
  }
  if (shape.training) {
    arena.place(steps.advantage, lanes);
    arena.place(record.quantised, lanes);
    arena.place(record.quantised_leak, shape.leaky ? lanes : 0);
    arena.place(steps.valid, shape.marks ? words : 0);
    arena.place(record.used, shape.marks ? steps.groups * kGroup : 0);
  }
  arena.place(record.reward, lanes);
  arena.place(record.incoming, words);
  arena.place(record.rows, lanes * shape.table.objects);
  arena.place(record.active, lanes * shape.table.words());
}

}  // namespace lockstep
