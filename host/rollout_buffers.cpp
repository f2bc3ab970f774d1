// The field list of a rollout's records, once: counted first, then cut out of one arena.
#include "host/rollout_buffers.h"

#include <unistd.h>

#include <string>

#include "host/errors.h"

namespace lockstep {
namespace {

/// Visits every recorded field with its pointer and its number of values.
template <class Visit>
void for_each_field(const RecordShape& s, Record<float>& r, Visit&& visit) {
  const std::int64_t words = r.groups * s.T;
  const std::int64_t lanes = words * kGroup;
  const std::int64_t kept = s.obs_and_logits ? lanes : 0;
  visit(r.obs, kept * s.O);
  visit(r.logits, kept * logits_of(s.A));
  visit(r.reward, s.reward ? lanes : 0);
  visit(r.advantage, s.advantage ? lanes : 0);
  visit(r.action, s.A == 2 ? 0 : lanes);
  visit(r.action_bits, s.A == 2 ? words : 0);
  visit(r.terminated, words);
  visit(r.truncated, words);
  visit(r.valid, s.advantage ? words : 0);
  visit(r.steps, r.groups);
}

constexpr std::int64_t kAlign = 256;
template <class T>
std::int64_t padded_bytes(T*, std::int64_t count) {
  return (count * static_cast<std::int64_t>(sizeof(T)) + kAlign - 1) / kAlign * kAlign;
}

Record<float> empty_record(const RecordShape& shape) {
  Record<float> record{};
  record.groups = (shape.num_envs + kGroup - 1) / kGroup;
  record.T = shape.T;
  return record;
}

std::int64_t arena_bytes(const RecordShape& shape) {
  Record<float> record = empty_record(shape);
  std::int64_t bytes = 0;
  for_each_field(shape, record,
                 [&](auto* field, std::int64_t count) { bytes += padded_bytes(field, count); });
  return bytes;
}

}  // namespace

double record_bytes_per_step(const RecordShape& shape) {
  RecordShape large = shape;
  large.num_envs = 1 << 16;
  large.T = 1 << 10;
  return static_cast<double>(arena_bytes(large)) / static_cast<double>(large.num_envs) /
         static_cast<double>(large.T);
}

RolloutBuffers::RolloutBuffers(const RecordShape& shape) : record_(empty_record(shape)) {
  const std::int64_t bytes = arena_bytes(shape);
  // the kernel would grant the pages now and end the process when they are touched
  const std::int64_t memory = std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGE_SIZE);
  if (bytes > memory) {
    throw OutOfMemory("out of memory: the rollout needs " + std::to_string(bytes >> 20) +
                      " MiB of " + std::to_string(memory >> 20) +
                      " MiB; fewer --envs, a shorter --horizon or --store recompute shrink it");
  }
  arena_ = Buffer<std::byte>(bytes);
  std::byte* next = arena_.data();
  for_each_field(shape, record_, [&]<class T>(T*& field, std::int64_t count) {
    field = count > 0 ? reinterpret_cast<T*>(next) : nullptr;
    next += padded_bytes(field, count);
  });
}

}  // namespace lockstep
