// Pong as a world of objects, for policies that read tables instead of pixels: bat up or bat down,
// seen as the 80x80 picture of envs/pong_frame80.h.
//
// The lit pixels of that picture are the disjoint union of three rows of a table: one of each bat
// and one of what the bats leave to be seen of the ball. Row 0 is nothing. So a sum of weights over
// the picture is a sum of three numbers, exactly, wherever ball and bats are.
//
// Source: as envs/pong.h; which shapes there are follows from envs/pong_picture.h: a ball is one to
// three rows high (other than two only behind the human's bat, from column 75 on), cut by the edges
// of the picture and, in the bats' columns, by the bats. Every row can be reached (tested).
#pragma once

#include "envs/object_env.h"
#include "envs/pong_frame80.h"

namespace lockstep {

struct ObjectPong {
  static constexpr const char* kName = "pong";
  static constexpr const char* kSummary =
      "Atari's Pong, ALE's bit for bit, from 80x80 difference pictures; two actions, to 21 points";
  static constexpr int kObjects = 3;  // CPU's bat, human's bat, ball
  static constexpr int kSide = kFrame80;
  static constexpr int kPixels = kSide * kSide;  // number i * 80 + j
  static constexpr int kFrames = 4;              // of a step, but for options that say otherwise
  /// Of an episode, before attract mode, whose colours know other pictures.
  static constexpr int kMaxEpisodeFrames = 65209;
  static constexpr int kMaxEpisodeSteps = kMaxEpisodeFrames / kFrames;
  static constexpr int kFrameLimit = Pong::kFrameLimit;
  static constexpr int kMaxRowPixels = 16;
  static constexpr float kMaxAbsReward = 1;
  static constexpr int kStateSize = Pong::kStateSize;

  // Rows of the table. Bats by position, cut ones included; a bat wholly out of sight is row 0.
  static constexpr int kCpuFirst = -7, kCpuLast = 79;      // rows of the bat's top
  static constexpr int kHumanFirst = -5, kHumanLast = 78;  // all it can have
  static constexpr int kCpuRow = 1;
  static constexpr int kHumanRow = kCpuRow + kCpuLast - kCpuFirst + 1;
  // Balls of two rows, by (first + 1) * 80 + column, first = -1..79: cut to one row at both ends.
  static constexpr int kPairRow = kHumanRow + kHumanLast - kHumanFirst + 1;
  // Single rows 1..78, by (row - 1) * 8 + place among columns 8, 9, 70, 71, 75, 76, 77, 78.
  static constexpr int kSingleRow = kPairRow + (kSide + 1) * kSide;
  // Three rows, by first: 0..77 in column 75, then 0..75 in column 78.
  static constexpr int kTripleRow = kSingleRow + 78 * 8;
  static constexpr int kTriples75 = 78;
  static constexpr int kNearRows = kPairRow, kNearObjects = 2;  // the bats'
  static constexpr int kRows = kTripleRow + kTriples75 + 76;
  static constexpr int kUsualRows = kSingleRow;  // 0.03 % of balls are seen in one row, or in three

  template <class I>
  using State = PongState<I>;

  template <class I>
  static LS_HD State<I> reset() {
    return Pong::reset<I>();
  }
  /// State to and from integers below 2^16 in magnitude.
  template <class I>
  static LS_HD void save(const State<I>& state, I (&to)[kStateSize]) {
    Pong::save(state, to);
  }
  template <class I>
  static LS_HD State<I> restore(const I (&from)[kStateSize]) {
    return Pong::restore(from);
  }
  /// A reset, then frames without an action: a number of each lane, `most` at most.
  template <class I>
  static LS_HD State<I> start(I noops, int most) {
    State<I> state = reset<I>();
    for (int f = 0; f < most; ++f) frame(state, I(0), noops > I(f));
    return state;
  }
  /// The states of the lanes of `over` become those of `start`.
  template <class I>
  static LS_HD void restart(State<I>& state, typename Lanes<I>::M over, const State<I>& start) {
    I now[Pong::kStateSize], fresh[Pong::kStateSize];
    Pong::save(state, now);
    Pong::save(start, fresh);
    for (int i = 0; i < Pong::kStateSize; ++i) now[i] = select(over, fresh[i], now[i]);
    state = Pong::restore(now);
  }

  /// Four frames: bat up where `up` is set (action 1), down elsewhere.
  template <class I>
  static LS_HD ObjectStep<I> step(State<I>& state, typename Lanes<I>::M up) {
    const PongInput<I> input = Pong::input_up_down<I>(up);
    const I reward = Pong::step<kFrames>(state, [&](int) { return input; });
    return {reward, Pong::is_over(state)};
  }
  /// A step of up to `most` frames. plays(f): the lanes whose step has a frame f; repeats(f): the
  /// lanes where it repeats the action of the frame before, which is `action`: -1 up, 1 down, 0
  /// none, as after a start.
  template <class I, class Plays, class Repeats>
  static LS_HD ObjectStep<I> step(State<I>& state, typename Lanes<I>::M up, int most,
                                  const Plays& plays, const Repeats& repeats, I& action) {
    const I wanted = select(up, I(-1), I(1));
    I reward(0);
    for (int f = 0; f < most; ++f) {
      const typename Lanes<I>::M played = plays(f);
      action = select(played & !repeats(f), wanted, action);
      reward = reward + frame(state, action, played);
    }
    return {reward, Pong::is_over(state)};
  }

  /// The rows of the table whose union is the picture of the state: CPU's bat, human's bat, ball.
  ///
  /// state: any that play can reach within kMaxEpisodeSteps. Result: bitwise on every backend.
  template <class I>
  static LS_HD void rows(const State<I>& state, I (&row)[kObjects]) {
    rows_of(pong_objects(pong_picture::view_of(state)), row);
  }
  template <class I>
  static LS_HD void rows_of(const PongObjects<I>& o, I (&row)[kObjects]) {
    row[0] = select(o.cpu_row < I(kCpuFirst), I(0), o.cpu_row + I(kCpuRow - kCpuFirst));
    row[1] = o.human_row + I(kHumanRow - kHumanFirst);

    // What a bat covers of the ball is the bat's. A ball is lower than a bat, so the rest of it is
    // in one piece, and none of it is left where first > last.
    const I column = o.ball_column;
    const auto at_cpu = in_range(column, 8, 9), at_human = in_range(column, 70, 71);
    const I far(-100);
    const I bat = select(at_cpu, o.cpu_row, select(at_human, o.human_row, far));
    const I end = bat + I(pong_frame80::kBatRows);
    I first = o.ball_row;
    I last = first + o.ball_rows - I(1);
    first = select((!(first < bat)) & (first < end), end, first);
    last = select((!(last < bat)) & (last < end), bat - I(1), last);

    const I height = last - first + I(1);  // <= 0: nothing
    const auto at_top = last == I(0), at_bottom = first == I(kSide - 1);
    const auto is_pair = (height == I(2)) | ((height == I(1)) & (at_top | at_bottom));
    const I pair_first = select(at_top, I(-1), first);
    const I pair = ((pair_first + I(1)) << 6) + ((pair_first + I(1)) << 4) + column;
    const I place = column - select(at_cpu, I(8), select(at_human, I(68), I(71)));
    const I single = ((first - I(1)) << 3) + place;
    const I triple = first + select(column == I(75), I(0), I(kTriples75));
    I ball = select(is_pair, pair + I(kPairRow), single + I(kSingleRow));
    ball = select(height == I(3), triple + I(kTripleRow), ball);
    row[2] = select(height > I(0), ball, I(0));
  }

  /// Whether the ball can be seen and flies toward the agent.
  template <class I>
  static LS_HD typename Lanes<I>::M incoming(const State<I>& s) {
    return (s.ball_y > I(36)) & (s.serve == I(0)) & (s.vel_x < I(0));
  }

  /// Writes the pixels of a row of the table, ascending; returns how many, 0..kMaxRowPixels.
  static LS_HD int pixels(int row, std::uint16_t (&pixel)[kMaxRowPixels]) {
    if (row < kCpuRow) return 0;
    if (row < kHumanRow) return block(row - kCpuRow + kCpuFirst, 8, 8, 2, pixel);
    if (row < kPairRow) return block(row - kHumanRow + kHumanFirst, 8, 70, 2, pixel);
    if (row < kSingleRow) {
      const int id = row - kPairRow;
      return block(id / kSide - 1, 2, id % kSide, 1, pixel);
    }
    if (row < kTripleRow) {
      constexpr int kColumn[8] = {8, 9, 70, 71, 75, 76, 77, 78};
      const int id = row - kSingleRow;
      return block(id / 8 + 1, 1, kColumn[id % 8], 1, pixel);
    }
    const int id = row - kTripleRow;
    return id < kTriples75 ? block(id, 3, 75, 1, pixel) : block(id - kTriples75, 3, 78, 1, pixel);
  }

  /// Draws the maximum of the pictures of some states, attract mode's included.
  ///
  /// states: [count], count 1 or 2. picture: [kPixels] of 0 and 1. Result: that of ALE's pictures,
  /// maximum of each colour, preprocessed.
  static LS_HD void draw(const State<std::int32_t>* states, int count, std::uint8_t* picture) {
    const PongView<std::int32_t> last = pong_picture::view_of(states[0]);
    if (count == 1) return draw_frame80(last, picture);
    const PongView<std::int32_t> views[2] = {last, pong_picture::view_of(states[1])};
    std::uint8_t red[kPixels];
    draw_pooled_frame80(views, 2, red, picture);
  }
  /// The same picture pixel by pixel: lit(look(states, count), pixel).
  static LS_HD Frame80Look look(const State<std::int32_t>* states, int count) {
    PongView<std::int32_t> views[2]{};
    for (int i = 0; i < count; ++i) views[i] = pong_picture::view_of(states[i]);
    return look_of(views, count);
  }
  static LS_HD bool lit(const Frame80Look& look, int pixel) { return lit_frame80(look, pixel); }

 private:
  /// One frame in the lanes that play it.
  template <class I>
  static LS_HD I frame(State<I>& state, I action, typename Lanes<I>::M played) {
    const I turn = select(action > I(0), I(Pong::kPaddleStep),
                          select(action < I(0), I(-Pong::kPaddleStep), I(0)));
    const PongInput<I> input{turn, I(0)};
    return Pong::step<1>(
        state, [&](int) { return input; }, select(played, I(1), I(0)));
  }

  static LS_HD int block(int first, int height, int column, int columns,
                         std::uint16_t (&pixel)[kMaxRowPixels]) {
    int count = 0;
    for (int i = first < 0 ? 0 : first; i < first + height && i < kSide; ++i) {
      for (int j = column; j < column + columns; ++j) {
        pixel[count++] = static_cast<std::uint16_t>(i * kSide + j);
      }
    }
    return count;
  }
};

}  // namespace lockstep
