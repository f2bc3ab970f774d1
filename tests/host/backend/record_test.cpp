// Tests for host/backend/record.h.
#include "host/backend/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <type_traits>
#include <vector>

#include "host/errors.h"

namespace lockstep {
namespace record_test {

struct Field {
  std::uintptr_t begin, end;
};

/// The fields that are there, with the sizes the kernels write; every byte is written once.
std::vector<Field> fields_of(const Record<float>& r, const RecordShape& shape) {
  std::vector<Field> fields;
  for_each_field(
      shape.O, shape.A,
      [&](RecordField, std::int64_t count, auto* field) {
        if (field == nullptr) return;
        const auto bytes = static_cast<std::size_t>(count) * sizeof *field;
        std::memset(field, 0xa5, bytes);
        const auto begin = reinterpret_cast<std::uintptr_t>(field);
        EXPECT_EQ(begin % 64, 0u);
        fields.push_back({begin, begin + bytes});
      },
      r);
  return fields;
}

TEST(RecordFields, TheListHasAllOfThem) {
  Record<float> record{};
  record.groups = record.T = 1;
  std::byte place{};
  int listed = 0;
  for_each_field(
      4, 3,
      [&](RecordField field, std::int64_t, auto*& pointer) {
        EXPECT_EQ(static_cast<int>(field), listed++);
        EXPECT_EQ(pointer, nullptr) << "listed twice";
        pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(&place);
      },
      record);
  // behind groups and T, which may be padded, the struct is an array of pointers
  void* pointers[(sizeof record - offsetof(Record<float>, obs)) / sizeof(void*)];
  std::memcpy(pointers, reinterpret_cast<const std::byte*>(&record) + offsetof(Record<float>, obs),
              sizeof pointers);
  EXPECT_EQ(std::size(pointers), static_cast<std::size_t>(listed));
  for (const void* pointer : pointers) EXPECT_EQ(pointer, &place);
}

TEST(RecordFields, OfAnEnvironmentAreWhereTheKernelsPutThem) {
  const RecordShape shape{
      .num_envs = 20, .T = 3, .O = 2, .A = 3, .obs_and_logits = true, .advantage = true};
  const RolloutBuffers buffers(shape);
  const Record<float>& r = buffers.record();
  const std::int64_t word = 3 + 2, at = word * kGroup + 1;  // environment 17 at step 2
  r.obs[(word * 2 + 1) * kGroup + 1] = 7;
  r.logits[(word * 3 + 2) * kGroup + 1] = 8;
  r.advantage[at] = 9;
  r.action[at] = 2;
  r.terminated[word] = 1 << 1;
  r.truncated[word] = static_cast<std::uint16_t>(~(1 << 1));
  r.valid[word] = 1 << 1;
  const RecordedEnv env(r, 2, 3, 17);
  EXPECT_EQ(env.obs(2, 1), 7);
  EXPECT_EQ(env.logit(2, 2), 8);
  EXPECT_EQ(env.advantage(2), 9);
  EXPECT_EQ(env.action(2), 2);
  EXPECT_EQ(env.terminated(2), 1);
  EXPECT_EQ(env.truncated(2), 0);
  EXPECT_EQ(env.valid(2), 1);
  EXPECT_EQ(env.reward(2), 1) << "not recorded: all are 1";
}

TEST(RecordFields, AreCopiedWhereBothRecordsHaveThem) {
  const RecordShape all{.num_envs = 33,
                        .T = 5,
                        .O = 4,
                        .A = 2,
                        .obs_and_logits = true,
                        .reward = true,
                        .advantage = true};
  RecordShape some = all;
  some.obs_and_logits = false;
  some.logits = true;
  const RolloutBuffers from(all), to(some);
  fields_of(from.record(), all);
  const auto copy = [](auto* field, const auto* source, std::int64_t count) {
    std::copy_n(source, count, field);
  };
  copy_record(4, 2, to.record(), from.record(), copy);
  int compared = 0;
  for_each_field(
      4, 2,
      [&](RecordField field, std::int64_t count, const auto* a, const auto* b) {
        EXPECT_EQ(a != nullptr, records(some, field) && count > 0);
        if (a == nullptr) return;
        EXPECT_EQ(std::memcmp(a, b, static_cast<std::size_t>(count) * sizeof *a), 0);
        ++compared;
      },
      to.record(), from.record());
  EXPECT_EQ(compared, 8);
}

TEST(RolloutBuffers, HasTheFieldsAskedForAndNoOthers) {
  RecordShape shape{.num_envs = 33, .T = 7, .O = 4, .A = 2};
  const RolloutBuffers bits(shape);
  EXPECT_EQ(bits.record().groups, 3);
  EXPECT_EQ(bits.record().T, 7);
  EXPECT_EQ(bits.record().obs, nullptr);
  EXPECT_EQ(bits.record().logits, nullptr);
  EXPECT_EQ(bits.record().reward, nullptr);
  EXPECT_EQ(bits.record().advantage, nullptr);
  EXPECT_EQ(bits.record().action, nullptr);
  EXPECT_EQ(bits.record().valid, nullptr);
  EXPECT_NE(bits.record().action_bits, nullptr);

  shape = {.num_envs = 16,
           .T = 3,
           .O = 2,
           .A = 3,
           .obs_and_logits = true,
           .reward = true,
           .advantage = true};
  const RolloutBuffers all(shape);
  EXPECT_EQ(all.record().groups, 1);
  EXPECT_EQ(all.record().action_bits, nullptr);
  EXPECT_THAT(fields_of(all.record(), shape), testing::SizeIs(9));
}

TEST(RolloutBuffers, FieldsDoNotOverlap) {
  for (const std::int64_t envs : {1, 16, 17, 1000}) {
    for (const std::int32_t T : {1, 5, 500}) {
      for (const int A : {2, 3}) {
        const RecordShape shape{.num_envs = envs,
                                .T = T,
                                .O = 4,
                                .A = A,
                                .obs_and_logits = true,
                                .reward = true,
                                .advantage = true};
        const RolloutBuffers buffers(shape);
        std::vector<Field> fields = fields_of(buffers.record(), shape);
        std::sort(fields.begin(), fields.end(),
                  [](const Field& a, const Field& b) { return a.begin < b.begin; });
        for (std::size_t i = 1; i < fields.size(); ++i) {
          EXPECT_GE(fields[i].begin, fields[i - 1].end) << envs << " x " << T;
        }
      }
    }
  }
}

TEST(RolloutBuffers, BytesPerStepAreThoseOfTheFields) {
  // two actions: three bits a step (action, terminated, truncated), four with `valid`
  EXPECT_NEAR(record_bytes_per_step({.O = 4, .A = 2}), 3 / 8.0, 1e-3);
  EXPECT_NEAR(record_bytes_per_step({.O = 4, .A = 2, .advantage = true}), 4 + 4 / 8.0, 1e-3);
  EXPECT_NEAR(record_bytes_per_step({.O = 4, .A = 2, .obs_and_logits = true, .advantage = true}),
              (4 + 1 + 1) * 4 + 4 / 8.0, 1e-3);
  EXPECT_NEAR(record_bytes_per_step(
                  {.O = 2, .A = 3, .obs_and_logits = true, .reward = true, .advantage = true}),
              (2 + 3 + 1 + 1) * 4 + 1 + 3 / 8.0, 1e-3);
}

TEST(RolloutBuffers, PlacesMoreThanTwoToThe31Records) {
  const RecordShape shape{
      .num_envs = 1 << 20, .T = 1 << 14, .O = 4, .A = 3, .logits = true, .advantage = true};
  Record<float> r = empty_record(shape);
  constexpr std::uintptr_t kStart = 4096;  // an address nobody follows
  Arena arena(reinterpret_cast<std::byte*>(kStart));
  place_record(arena, shape, r);
  const std::uintptr_t records = std::uintptr_t{1} << 34, words = records / kGroup;
  const auto at = [](const auto* field) { return reinterpret_cast<std::uintptr_t>(field); };
  EXPECT_EQ(r.obs, nullptr);
  EXPECT_EQ(at(r.logits), kStart);
  EXPECT_EQ(at(r.advantage), kStart + records * 12);
  EXPECT_EQ(at(r.action), kStart + records * 16);
  EXPECT_EQ(at(r.terminated), kStart + records * 17);
  EXPECT_EQ(at(r.truncated), at(r.terminated) + words * 2);
  EXPECT_EQ(at(r.valid), at(r.truncated) + words * 2);
  EXPECT_EQ(at(r.steps), at(r.valid) + words * 2);
  EXPECT_EQ(arena.bytes(), static_cast<std::int64_t>(at(r.steps) - kStart + (1 << 16) * 4));
}

TEST(RolloutBuffers, RefusesMoreThanTheMachineHas) {
  const RecordShape shape{
      .num_envs = 1 << 24, .T = 1 << 24, .O = 4, .A = 2, .obs_and_logits = true};
  EXPECT_THAT([&] { RolloutBuffers buffers(shape); },
              testing::ThrowsMessage<OutOfMemory>(testing::AllOf(testing::HasSubstr("bytes wanted"),
                                                                 testing::HasSubstr("--envs"))));
}

}  // namespace record_test
}  // namespace lockstep
