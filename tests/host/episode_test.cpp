// Tests for host/episode.h and the parts of Engine that make episodes: what is watched is what was
// evaluated.
#include "host/episode.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "host/engine.h"
#include "host/errors.h"
#include "host/options/options.h"

namespace lockstep {
namespace episode_test {

/// Weights that were not trained.
Engine make_engine(const std::string& env,
                   std::vector<std::pair<std::string, std::string>> settings = {}) {
  ConfigSources sources;
  sources.flags = std::move(settings);
  sources.flags.emplace_back("env", env);
  sources.flags.emplace_back("seed", "3");
  return Engine(resolve_config(sources));
}

/// Plays the pictures to the end; returns how many followed the first.
std::int64_t play_out(EpisodePictures& pictures) {
  std::int64_t frames = 0;
  while (pictures.next()) ++frames;
  EXPECT_FALSE(pictures.next());
  return frames;
}

class EpisodeTest : public ::testing::TestWithParam<EvalOptions> {};

TEST_P(EpisodeTest, IsThatOfTheEvaluationOnCartPole) {
  Engine engine = make_engine("cartpole");
  EvalOptions options = GetParam();
  options.episodes = 40;
  const EvalResult evaluated = engine.evaluate(options);
  for (const std::int64_t number : {0, 1, 15, 16, 39}) {
    const auto n = static_cast<std::size_t>(number);
    const PlayedEpisode episode = engine.play_episode(options, number);
    EXPECT_EQ(episode.actions.size(), static_cast<std::size_t>(evaluated.lengths[n])) << number;
    EXPECT_EQ(episode.score, static_cast<double>(evaluated.scores[n])) << number;
    EpisodePictures pictures = engine.pictures(options, episode);
    EXPECT_EQ(play_out(pictures), evaluated.lengths[n]) << number;
    EXPECT_EQ(pictures.score(), episode.score) << number;
    EXPECT_EQ(pictures.step(), evaluated.lengths[n]) << number;
  }
}

TEST_P(EpisodeTest, IsThatOfTheEvaluationOnPong) {
  Engine engine = make_engine("pong");
  EvalOptions options = GetParam();
  options.episodes = 20;
  const EvalResult evaluated = engine.evaluate(options);
  for (const std::int64_t number : {0, 7, 19}) {
    const auto n = static_cast<std::size_t>(number);
    const PlayedEpisode episode = engine.play_episode(options, number);
    EXPECT_EQ(episode.actions.size(), static_cast<std::size_t>(evaluated.lengths[n])) << number;
    EXPECT_EQ(episode.score, static_cast<double>(evaluated.scores[n])) << number;
    EpisodePictures pictures = engine.pictures(options, episode);
    const std::int64_t frames = play_out(pictures), steps = evaluated.lengths[n];
    EXPECT_LE(frames, 4 * steps);
    EXPECT_GT(frames, 4 * (steps - 1));  // the last step may end early
    EXPECT_EQ(pictures.score(), episode.score) << number;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Modes, EpisodeTest,
    ::testing::Values(EvalOptions{}, EvalOptions{.mode = ActionMode::kSample, .seed = 9},
                      EvalOptions{.mode = ActionMode::kEpsilon, .epsilon = 0.3, .index = 4}));

TEST(PongEpisodeTest, ChanceIsTheEvaluations) {
  struct Case {
    const char* skip;
    const char* sticky;
    std::int64_t noops;
    bool in_turn;
  };
  for (const Case& c : {Case{"4", "0.25", 29, false}, Case{"2-4", "0", 0, false},
                        Case{"2-5", "0.5", 29, true}, Case{"1", "0.25", 3, false}}) {
    Engine engine =
        make_engine("pong", {{"frame-skip", c.skip}, {"repeat-action-probability", c.sticky}});
    EvalOptions options;
    options.mode = ActionMode::kSample;
    options.noops = c.noops;
    options.noops_in_turn = c.in_turn;
    const PlayedEpisode episode = engine.play_episode(options, 5);
    EpisodePictures pictures = engine.pictures(options, episode);
    // the game is over in the very last frame: any other chance would have played another one
    double before = 0;
    std::int64_t last_point = 0, frames = 0;
    while (pictures.next()) {
      ++frames;
      if (pictures.score() != before) last_point = frames;
      before = pictures.score();
    }
    EXPECT_EQ(before, episode.score) << c.skip;
    EXPECT_EQ(last_point, frames) << c.skip;
    EXPECT_EQ(pictures.step(), static_cast<std::int64_t>(episode.actions.size())) << c.skip;
  }
}

TEST(EpisodePicturesTest, EveryPictureIsAnother) {
  Engine engine = make_engine("cartpole");
  const EvalOptions options{.mode = ActionMode::kSample};
  const PlayedEpisode episode = engine.play_episode(options, 2);
  EpisodePictures pictures = engine.pictures(options, episode);
  EXPECT_EQ(pictures.rgb().size(),
            static_cast<std::size_t>(pictures.height() * pictures.width() * 3));
  const std::vector<std::uint8_t> start = pictures.rgb();
  std::vector<std::uint8_t> before = start;
  std::int64_t changes = 0;
  while (pictures.next()) {
    changes += pictures.rgb() != before ? 1 : 0;
    before = pictures.rgb();
  }
  EXPECT_GT(changes, pictures.step() / 2);
  EpisodePictures again = engine.pictures(options, episode);
  EXPECT_EQ(again.rgb(), start);
  while (again.next()) {
  }
  EXPECT_EQ(again.rgb(), before);
}

TEST(EpisodePicturesTest, NeedsAnEnvironmentWithPictures) {
  EnvironmentFacts facts = *find_environment("cartpole").facts;
  facts.watch = {};
  EXPECT_THROW(EpisodePictures(facts, {1, 0}, {}, {}), InvalidArgument);
}

TEST(PlayEpisodeTest, RefusesWhatEvaluateRefuses) {
  Engine engine = make_engine("cartpole");
  EXPECT_THROW(engine.play_episode({}, -1), InvalidArgument);
  EXPECT_THROW(engine.play_episode({.mode = ActionMode::kEpsilon, .epsilon = 2}, 0),
               InvalidArgument);
}

}  // namespace episode_test
}  // namespace lockstep
