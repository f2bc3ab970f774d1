// Pong and the vocabulary of envs/int_lanes.h on SIMD packs against the scalar versions, lane by
// lane.
#include <gtest/gtest.h>

#include <vector>

#include "tests/envs/pong_pack.h"
#include "tests/support/pong_states.h"

namespace lockstep {
namespace pong_pack_test {

using test::kMaxLanes;
using test::Lane;
using test::PongBatch;
using test::State;
using Lanes32 = Lane[kMaxLanes];

/// Vector versions that this build and processor have.
std::vector<const PongBatch*> packs() {
  std::vector<const PongBatch*> all;
#ifdef LS_HAVE_AVX2
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    all.push_back(&test::pong_avx2);
  }
#endif
#ifdef LS_HAVE_AVX512
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    all.push_back(&test::pong_avx512);
  }
#endif
  return all;
}

class PongPackTest : public testing::Test {
 protected:
  void SetUp() override {
    if (packs().empty()) GTEST_SKIP() << "no vector version in this build or processor";
  }
};

void put(const State& s, Lanes32* arrays, int lane) {
  std::int32_t numbers[Pong::kStateSize];
  Pong::save(s, numbers);
  for (int i = 0; i < Pong::kStateSize; ++i) arrays[i][lane] = static_cast<Lane>(numbers[i]);
}

State get(const Lanes32* arrays, int lane) {
  std::int32_t numbers[Pong::kStateSize];
  for (int i = 0; i < Pong::kStateSize; ++i) numbers[i] = arrays[i][lane];
  numbers[0] &= 0xffff;  // the clock has no sign
  return Pong::restore(numbers);
}

void expect_equal(const State& ours, const State& theirs) {
  std::int32_t a[Pong::kStateSize], b[Pong::kStateSize];
  Pong::save(ours, a);
  Pong::save(theirs, b);
  for (int i = 0; i < Pong::kStateSize; ++i) ASSERT_EQ(a[i], b[i]) << "field " << i;
}

TEST_F(PongPackTest, FramesEqualTheScalarOnesOnRandomStates) {
  for (const PongBatch* pack : packs()) {
    std::mt19937 random(5);
    for (int round = 0; round < 20000; ++round) {
      State state[kMaxLanes];
      test::Input input[kMaxLanes];
      PongCells<std::int32_t> cells[kMaxLanes];
      Lanes32 states[Pong::kStateSize], inputs[2], all_cells[6];
      for (int i = 0; i < pack->lanes; ++i) {
        state[i] = test::random_state(random);
        input[i] = test::random_input(random);
        cells[i] = pong_ram::reset<std::int32_t>();
        cells[i].hits = static_cast<std::int32_t>(random() % 256);
        cells[i].sound = static_cast<std::int32_t>(random() % 256);
        cells[i].wall_flag = random() % 2 ? 64 : 0;
        cells[i].bounce_flag = random() % 2 ? 128 : 0;
        put(state[i], states, i);
        inputs[0][i] = static_cast<Lane>(input[i].turn);
        inputs[1][i] = static_cast<Lane>(input[i].fire);
        const std::int32_t c[] = {
            cells[i].hits, cells[i].sound, cells[i].wall_flag, cells[i].bounce_flag, 0, 0};
        for (int k = 0; k < 6; ++k) all_cells[k][i] = static_cast<Lane>(c[k]);
      }
      std::uint32_t events[8];
      pack->frame(states, inputs, all_cells, events);
      for (int i = 0; i < pack->lanes; ++i) {
        const State before = state[i];
        const auto e = Pong::frame(state[i], input[i]);
        pong_ram::update(cells[i], before, e);
        ASSERT_NO_FATAL_FAILURE(expect_equal(get(states, i), state[i]));
        const bool scalar[] = {e.asleep, e.waiting, e.serve,     e.point,
                               e.rally,  e.wall,    e.human_hit, e.cpu_hit};
        for (int k = 0; k < 8; ++k) ASSERT_EQ((events[k] >> i & 1) != 0, scalar[k]) << k;
        const std::int32_t c[] = {cells[i].hits,        cells[i].sound,   cells[i].wall_flag,
                                  cells[i].bounce_flag, before.cpu_score, before.human_score};
        for (int k = 0; k < 6; ++k) ASSERT_EQ(all_cells[k][i], c[k]) << "cell " << k;
      }
    }
  }
}

TEST_F(PongPackTest, StepsEqualTheScalarOnesOverWholeGames) {
  for (const PongBatch* pack : packs()) {
    for (const bool random_skips : {false, true}) {
      std::mt19937 random(6);
      State state[kMaxLanes];
      Lanes32 states[Pong::kStateSize];
      for (int i = 0; i < pack->lanes; ++i) {
        state[i] = Pong::reset<std::int32_t>();
        put(state[i], states, i);
      }
      int ended = 0;
      for (int t = 0; t < 4000; ++t) {
        Lane inputs[4][2][kMaxLanes], frames[kMaxLanes], rewards[kMaxLanes];
        for (int i = 0; i < pack->lanes; ++i) {
          frames[i] = static_cast<Lane>(random() % 5);
          for (auto& input : inputs) {
            const auto drawn = test::random_input(random);
            input[0][i] = static_cast<Lane>(drawn.turn);
            input[1][i] = static_cast<Lane>(drawn.fire);
          }
        }
        pack->step(states, inputs, random_skips ? frames : nullptr, rewards);
        for (int i = 0; i < pack->lanes; ++i) {
          const auto input_of = [&](int f) {
            return test::Input{inputs[f][0][i], inputs[f][1][i]};
          };
          const int reward = random_skips
                                 ? Pong::step<4>(state[i], input_of, std::int32_t{frames[i]})
                                 : Pong::step<4>(state[i], input_of);
          ASSERT_EQ(rewards[i], reward);
          ASSERT_NO_FATAL_FAILURE(expect_equal(get(states, i), state[i]));
          if (!Pong::is_over(state[i]) || t % 4 != 0) continue;  // some steps are beyond the end
          state[i] = Pong::reset<std::int32_t>();
          put(state[i], states, i);
          ++ended;
        }
      }
      EXPECT_GT(ended, pack->lanes);
    }
  }
}

TEST_F(PongPackTest, ObjectsEqualTheScalarOnes) {
  for (const PongBatch* pack : packs()) {
    std::mt19937 random(7);
    for (int round = 0; round < 10000; ++round) {
      State state[kMaxLanes];
      Lanes32 states[Pong::kStateSize], objects[5];
      for (int i = 0; i < pack->lanes; ++i) {
        state[i] = i == 3 ? Pong::reset<std::int32_t>() : test::random_state(random);
        put(state[i], states, i);
      }
      pack->objects(states, objects);
      for (int i = 0; i < pack->lanes; ++i) {
        const auto o = pong_objects(pong_picture::view_of(state[i]));
        const std::int32_t all[] = {o.cpu_row, o.human_row, o.ball_column, o.ball_row, o.ball_rows};
        for (int k = 0; k < 5; ++k) ASSERT_EQ(objects[k][i], all[k]) << k;
      }
    }
  }
}

TEST_F(PongPackTest, VocabularyEqualsTheScalarOne) {
  for (const PongBatch* pack : packs()) {
    std::mt19937 random(8);
    for (int round = 0; round < 20000; ++round) {
      Lane a[kMaxLanes], b[kMaxLanes];
      const auto bits = static_cast<std::uint32_t>(round % 3 == 0 ? 0 : random());
      for (int i = 0; i < pack->lanes; ++i) {
        const int size = random() % 2 ? 4 : 2000;  // equal numbers occur; nothing runs over
        a[i] =
            static_cast<Lane>(static_cast<int>(random() % static_cast<unsigned>(2 * size)) - size);
        b[i] =
            static_cast<Lane>(static_cast<int>(random() % static_cast<unsigned>(2 * size)) - size);
      }
      Lanes32 out[test::kVocabulary], one[test::kVocabulary];
      pack->vocabulary(a, b, bits, out);
      const std::uint32_t mine = pack->lanes == 32 ? bits : bits & 0xffff;
      for (int i = 0; i < pack->lanes; ++i) {
        test::PongOf<std::int32_t>::vocabulary(a + i, b + i, bits >> i & 1, one);
        for (int k = 0; k < test::kVocabulary - 1; ++k) ASSERT_EQ(out[k][i], one[k][0]) << k;
        ASSERT_EQ(out[test::kVocabulary - 1][i], mine != 0);
      }
    }
  }
}

TEST(IntLanesTest, NumbersRunOverWhereTheyAreAllowedTo) {
  EXPECT_EQ(low16(0x10000), 0);
  EXPECT_EQ(low16(0xffff), 0xffff);
  EXPECT_TRUE(in_range(-3, -3, 5));
  EXPECT_TRUE(in_range(5, -3, 5));
  EXPECT_FALSE(in_range(-4, -3, 5));
  EXPECT_FALSE(in_range(6, -3, 5));
}

}  // namespace pong_pack_test
}  // namespace lockstep
