// A rollout of a table policy twice: played by the CPU's operations, and the same arguments with
// buffers on a device, for its kernels to be held against. The table is drawn, not built.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "envs/pong_objects.h"
#include "kernels/cpu/table_rollout.h"
#include "kernels/cuda/table_play.cuh"
#include "tests/support/cuda_array.h"

namespace lockstep::test {

struct TableCase {
  std::int64_t envs = 5;
  int T = 19;
  int hidden = 40;
  float leak = 0;
  bool episodic = false;
  ActionChoice choice = ActionChoice::kSample;
  bool random = false;
  GameOptions game{.max_steps = 7};
  bool record = true;
  std::uint32_t epoch = 6;
  bool tiny = false;  // weights whose products vanish
};

/// Arrays of a rollout, on the host.
struct TableArrays {
  std::vector<float> logits, score;
  std::vector<std::uint16_t> actions, terminated, truncated, incoming, rows;
  std::vector<std::int8_t> reward;
  std::vector<std::uint32_t> active;
  std::vector<std::int32_t> steps, length, episodes;
};

/// The same on a device.
struct DeviceTableArrays {
  explicit DeviceTableArrays(const TableArrays& from)
      : logits(from.logits),
        score(from.score),
        actions(from.actions),
        terminated(from.terminated),
        truncated(from.truncated),
        incoming(from.incoming),
        rows(from.rows),
        reward(from.reward),
        active(from.active),
        steps(from.steps),
        length(from.length),
        episodes(from.episodes) {}
  CudaArray<float> logits, score;
  CudaArray<std::uint16_t> actions, terminated, truncated, incoming, rows;
  CudaArray<std::int8_t> reward;
  CudaArray<std::uint32_t> active;
  CudaArray<std::int32_t> steps, length, episodes;
};

class TableRollouts {
 public:
  using E = ObjectPong;
  explicit TableRollouts(const TableCase& c)
      : c_(c), shape_{E::kPixels, E::kRows, E::kObjects, c.hidden}, device_arrays_(garbage()) {
    const auto Hp = static_cast<std::size_t>(shape_.padded());
    rows_.assign(E::kRows * Hp, 0.0f);
    output_.assign(Hp, 0.0f);
    for (std::size_t j = 0; j < static_cast<std::size_t>(c.hidden); ++j) {
      output_[j] = c.tiny ? -1e-30f : draw(static_cast<std::uint32_t>(j), 0) - 0.5f;
    }
    for (std::uint32_t row = 1; row < E::kRows; ++row) {
      for (std::uint32_t j = 0; j < static_cast<std::uint32_t>(c.hidden); ++j) {
        rows_[row * Hp + j] = c.tiny ? 1e-30f * static_cast<float>(row) : draw(j, row) - 0.5f;
      }
    }
    play_on_cpu();
    device_rows_ = CudaArray<float>(rows_);
    device_output_ = CudaArray<float>(output_);
    args = arguments(device_arrays_, device_rows_.data(), device_output_.data());
  }

  /// Compares what the device has played.
  void expect_equal() const {
    expect_results();
    if (c_.record) expect_record();
  }
  void expect_results() const {
    EXPECT_EQ(device_arrays_.score.download(), want.score);
    EXPECT_EQ(device_arrays_.length.download(), want.length);
    EXPECT_EQ(device_arrays_.episodes.download(), want.episodes);
  }
  /// The device has written nothing.
  void expect_untouched() const {
    TableArrays got;
    download(got);
    const TableArrays before = garbage();
    EXPECT_EQ(got.logits, before.logits);
    EXPECT_EQ(got.actions, before.actions);
    EXPECT_EQ(got.terminated, before.terminated);
    EXPECT_EQ(got.steps, before.steps);
    EXPECT_EQ(device_arrays_.length.download(), before.length);
  }
  /// Ends of episodes in all lanes; everything else while an environment plays.
  void expect_record() const {
    TableArrays got;
    download(got);
    ASSERT_EQ(got.steps, want.steps);
    for (std::int64_t group = 0; group < groups(); ++group) {
      for (int t = 0; t < want.steps[at(group)]; ++t) {
        const std::int64_t step = group * c_.T + t;
        ASSERT_EQ(got.terminated[at(step)], want.terminated[at(step)]) << group << " at " << t;
        ASSERT_EQ(got.truncated[at(step)], want.truncated[at(step)]) << group << " at " << t;
      }
    }
    for (std::int64_t env = 0; env < c_.envs; ++env) {
      for (int t = 0; t < played(env); ++t) expect_step(got, env, t);
    }
  }
  /// Steps that environment env played.
  int played(std::int64_t env) const {
    const bool ended = c_.episodic && want.episodes[at(env)] > 0;
    return ended ? want.length[at(env)] : want.steps_of_group(env);
  }
  std::int64_t groups() const { return (c_.envs + kGroup - 1) / kGroup; }

  struct Wanted : TableArrays {
    int steps_of_group(std::int64_t env) const {
      return steps[static_cast<std::size_t>(env / kGroup)];
    }
  };
  Wanted want;              // what the CPU has played; its record is always kept
  TableRolloutArgs args{};  // of the device

 private:
  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
  static float draw(std::uint32_t j, std::uint32_t row) {
    return uniform<float>(philox4x32<std::uint32_t>(j, row, 2, 3, 4).w[0]);
  }

  void expect_step(const TableArrays& got, std::int64_t env, int t) const {
    const std::int64_t step = env / kGroup * c_.T + t, lane = env % kGroup;
    SCOPED_TRACE(testing::Message() << "environment " << env << " at " << t);
    const auto bit = [&](const std::vector<std::uint16_t>& bits) {
      return (bits[at(step)] >> lane) & 1;
    };
    const auto bits = [&](const TableArrays& a) {
      return std::bit_cast<std::uint32_t>(a.logits[at(step * kGroup + lane)]);
    };
    ASSERT_EQ(bits(got), bits(want));
    ASSERT_EQ(bit(got.actions), bit(want.actions));
    ASSERT_EQ(bit(got.incoming), bit(want.incoming));
    ASSERT_EQ(got.reward[at(step * kGroup + lane)], want.reward[at(step * kGroup + lane)]);
    for (int i = 0; i < E::kObjects; ++i) {
      const std::int64_t cell = (step * E::kObjects + i) * kGroup + lane;
      ASSERT_EQ(got.rows[at(cell)], want.rows[at(cell)]) << "object " << i;
    }
    for (int word = 0; word < shape_.words() && !c_.random; ++word) {
      const std::int64_t cell = (step * shape_.words() + word) * kGroup + lane;
      ASSERT_EQ(got.active[at(cell)], want.active[at(cell)]) << "word " << word;
    }
  }

  TableArrays garbage() const {
    const auto steps = at(groups() * c_.T), lanes = at(groups() * kGroup);
    TableArrays a;
    a.logits.assign(steps * kGroup, -77.0f);
    a.actions.assign(steps, 0xffff);
    a.terminated = a.truncated = a.incoming = a.actions;
    a.rows.assign(steps * kGroup * E::kObjects, 0xffff);
    a.reward.assign(steps * kGroup, 77);
    a.active.assign(steps * kGroup * at(shape_.words()), 0x12345678u);
    a.steps.assign(at(groups()), -1);
    a.score.assign(lanes, -77.0f);
    a.length.assign(lanes, -1);
    a.episodes.assign(lanes, -1);
    return a;
  }

  template <class Arrays>
  TableRolloutArgs arguments(Arrays& a, const float* rows, const float* output) const {
    TableRolloutArgs r{};
    r.stream = {77, c_.epoch, 1000};
    r.num_envs = c_.envs;
    r.T = c_.T;
    r.episodic = c_.episodic;
    r.choice = c_.choice;
    r.epsilon = 0.25f;
    r.random_policy = c_.random;
    r.game = c_.game;
    r.policy = {shape_, c_.random ? nullptr : rows, c_.random ? nullptr : output, c_.leak};
    r.score = a.score.data();
    r.length = a.length.data();
    r.episodes = a.episodes.data();
    if (!c_.record) return r;
    Record<float>& steps = r.record.steps;
    steps.groups = groups();
    steps.T = c_.T;
    steps.logits = a.logits.data();
    steps.action_bits = a.actions.data();
    steps.terminated = a.terminated.data();
    steps.truncated = a.truncated.data();
    steps.steps = a.steps.data();
    r.record.reward = a.reward.data();
    r.record.incoming = a.incoming.data();
    r.record.rows = a.rows.data();
    r.record.active = a.active.data();
    return r;
  }

  void play_on_cpu() {
    static_cast<TableArrays&>(want) = garbage();
    const TableRolloutArgs cpu = arguments(want, rows_.data(), output_.data());
    std::vector<float> phi(rows_.size() / E::kRows * kGroup), part(kGroup * kTableParts);
    std::vector<std::uint32_t> active(kGroup * at(shape_.words()));
    for (std::int64_t group = 0; group < groups(); ++group) {
      std::fill(part.begin(), part.end(), 0.0f);
      const cpu::TableScratch scratch{phi.data(), part.data(), active.data()};
      if (c_.leak == 0) {
        cpu::table_rollout_group<E, false, float>(cpu, group, scratch);
      } else {
        cpu::table_rollout_group<E, true, float>(cpu, group, scratch);
      }
    }
  }

  void download(TableArrays& to) const {
    to.logits = device_arrays_.logits.download();
    to.actions = device_arrays_.actions.download();
    to.terminated = device_arrays_.terminated.download();
    to.truncated = device_arrays_.truncated.download();
    to.incoming = device_arrays_.incoming.download();
    to.rows = device_arrays_.rows.download();
    to.reward = device_arrays_.reward.download();
    to.active = device_arrays_.active.download();
    to.steps = device_arrays_.steps.download();
  }

  TableCase c_;
  TableShape shape_;
  DeviceTableArrays device_arrays_;
  std::vector<float> rows_, output_;
  CudaArray<float> device_rows_, device_output_;
};

}  // namespace lockstep::test
