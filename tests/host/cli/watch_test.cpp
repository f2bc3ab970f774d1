// Tests for `view` and `render`, through the real program: the screen, the files, and what is left
// behind when they are stopped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/gif_reader.h"
#include "tests/support/process.h"
#include "tests/support/pseudo_terminal.h"
#include "tests/support/terminal.h"

namespace lockstep {
namespace watch_test {

using nlohmann::json;
using test::Process;
using test::ProcessResult;
using test::PseudoTerminal;
using test::Terminal;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using Words = std::vector<std::string>;

constexpr const char* kEnter = "\x1b[?1049h\x1b[?25l";
constexpr const char* kLeave = "\x1b[?25h\x1b[?1049l";

/// A run of each environment, trained for one update.
class WatchTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new test::ScratchFolder;
    run({"train", "cartpole", "--quiet", "--updates", "1", "--out", "c"});
    run({"train", "pong", "--quiet", "--updates", "1", "--envs", "2", "--horizon", "100", "--out",
         "p"});
  }
  static void TearDownTestSuite() { delete folder_; }

  static ProcessResult run(const Words& arguments, int code = 0) {
    ProcessResult result = Process(LS_TEST_PROGRAM, arguments, folder_->path()).wait();
    EXPECT_EQ(result.code, code) << result.err;
    return result;
  }
  static json run_json(Words arguments, const char* command) {
    arguments.emplace_back("--json");
    json document = json::parse(run(arguments).out);
    EXPECT_EQ(document.at("schema"), std::string("lockstep.") + command + "/1");
    return document;
  }
  static json eval_json(const char* path, const Words& more) {
    Words arguments = {"eval", path};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_json(arguments, "eval");
  }

  static test::ScratchFolder* folder_;
};
test::ScratchFolder* WatchTest::folder_ = nullptr;

/// What stands on the screen at the end, before the program leaves it.
Terminal last_screen(const std::string& output, int rows, int columns) {
  Terminal terminal(rows, columns);
  terminal.feed(output.substr(0, output.rfind("\x1b[0m\x1b[?25h")));
  EXPECT_TRUE(terminal.alternate);
  EXPECT_TRUE(terminal.cursor_hidden);
  return terminal;
}

TEST_F(WatchTest, ViewPlaysTheEpisodeThatEvalPlays) {
  for (const char* path : {"c", "p"}) {
    const json evaluated = eval_json(path, {"--episodes", "1", "--mode", "sample", "--seed", "4"});
    const std::string score = std::to_string(evaluated.at("mean").get<int>());
    PseudoTerminal terminal(LS_TEST_PROGRAM,
                            {"view", path, "--fps", "0", "--mode", "sample", "--seed", "4"},
                            folder_->path(), 20, 70);
    EXPECT_EQ(terminal.wait(), 0) << terminal.output();
    const Terminal screen = last_screen(terminal.output(), 20, 70);
    EXPECT_THAT(screen.line(19),
                HasSubstr("episode 0  step " + std::to_string(evaluated.at("steps").get<int>())));
    EXPECT_THAT(screen.line(19), EndsWith("score " + score));
    EXPECT_THAT(terminal.output(), HasSubstr("episode 0 (sample): score " + score + " in "));
    EXPECT_TRUE(terminal.keys_as_before());
  }
}

#ifdef LS_HAVE_PNG
TEST_F(WatchTest, OptionsOfAGameAreThoseOfEval) {
  const Words game = {
      "--mode",  "sample", "--frame-skip", "2-3", "--repeat-action-probability", "0.25",
      "--noops", "9",      "--starts",     "each"};
  const json evaluated = eval_json("p", [&] {
    Words words = game;
    words.insert(words.end(), {"--episodes", "1"});
    return words;
  }());
  Words words = {"render", "p", "--png", "one", "--frames", "1"};
  words.insert(words.end(), game.begin(), game.end());
  const json film = run_json(words, "render");
  EXPECT_EQ(film.at("steps"), evaluated.at("steps"));
  EXPECT_EQ(film.at("score"), evaluated.at("mean"));
}
#endif

TEST_F(WatchTest, ViewShowsThePicture) {
  PseudoTerminal terminal(LS_TEST_PROGRAM, {"view", "p", "--fps", "0"}, folder_->path(), 30, 100);
  EXPECT_EQ(terminal.wait(), 0);
  const Terminal screen = last_screen(terminal.output(), 30, 100);
  EXPECT_EQ(screen.at(28, 50).lower(), 0xecececu);  // the lower wall
  EXPECT_EQ(screen.at(8, 50).upper(), 0x904811u);   // the ground, as ALE has it
  EXPECT_EQ(screen.at(8, 0).upper(), 0u);           // beside the picture
}

TEST_F(WatchTest, ViewKeepsTheGamesTime) {
  const auto start = std::chrono::steady_clock::now();
  PseudoTerminal terminal(LS_TEST_PROGRAM, {"view", "c"}, folder_->path(), 20, 70);
  EXPECT_EQ(terminal.wait(), 0);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const int steps = eval_json("c", {"--episodes", "1"}).at("steps").get<int>();
  EXPECT_GE(seconds, steps / 50.0 + 1);  // the last picture stands for a second
}

TEST_F(WatchTest, SignalsAndKeysRestoreTheTerminal) {
  for (const int signal : {SIGINT, SIGTERM}) {
    PseudoTerminal terminal(LS_TEST_PROGRAM, {"view", "p", "--fps", "1"}, folder_->path(), 20, 70);
    ASSERT_TRUE(terminal.read_until("score"));
    EXPECT_FALSE(terminal.keys_as_before());
    terminal.send(signal);
    EXPECT_EQ(terminal.wait(), 128 + signal);
    EXPECT_THAT(terminal.output(), HasSubstr(kEnter));
    EXPECT_THAT(terminal.output(), EndsWith(kLeave));
    EXPECT_TRUE(terminal.keys_as_before());
  }
  for (const char* key : {"\x03", "q"}) {  // Ctrl-C, as the terminal knows it
    PseudoTerminal terminal(LS_TEST_PROGRAM, {"view", "p", "--fps", "5"}, folder_->path(), 20, 70);
    ASSERT_TRUE(terminal.read_until("score"));
    terminal.press(key);
    EXPECT_EQ(terminal.wait(), *key == 'q' ? 0 : 130);
    EXPECT_THAT(terminal.output(), HasSubstr(kLeave));
    EXPECT_TRUE(terminal.keys_as_before());
  }
}

TEST_F(WatchTest, ASecondSignalRestoresTheTerminalToo) {
  // nobody reads, so the program comes to stand in the middle of a write
  PseudoTerminal terminal(LS_TEST_PROGRAM, {"view", "p", "--fps", "0"}, folder_->path(), 60, 250);
  ASSERT_TRUE(terminal.read_until("\x1b[2J"));
  usleep(300000);
  terminal.send(SIGTERM);
  usleep(100000);
  terminal.send(SIGTERM);
  EXPECT_EQ(terminal.wait(), 143);
  EXPECT_THAT(terminal.output(), EndsWith(kLeave));
  EXPECT_TRUE(terminal.keys_as_before());
}

TEST_F(WatchTest, AnotherWindowIsFilledAgain) {
  PseudoTerminal terminal(LS_TEST_PROGRAM, {"view", "p", "--fps", "30"}, folder_->path(), 20, 70);
  ASSERT_TRUE(terminal.read_until("\x1b[20;1H"));
  terminal.resize(5, 20);
  ASSERT_TRUE(terminal.read_until("needs 24x8"));
  terminal.resize(12, 40);
  ASSERT_TRUE(terminal.read_until("\x1b[12;1H"));
  terminal.press("q");
  EXPECT_EQ(terminal.wait(), 0);
}

TEST_F(WatchTest, ViewNeedsATerminal) {
  EXPECT_THAT(run({"view", "c"}, 2).err,
              HasSubstr("lockstep: error: standard output is not a terminal"));
  PseudoTerminal dumb(LS_TEST_PROGRAM, {"view", "c"}, folder_->path(), 20, 70, "dumb");
  EXPECT_EQ(dumb.wait(), 2);
  EXPECT_THAT(dumb.output(), HasSubstr("TERM is dumb"));
  PseudoTerminal missing(LS_TEST_PROGRAM, {"view", "none"}, folder_->path(), 20, 70);
  EXPECT_EQ(missing.wait(), 4);
  EXPECT_THAT(missing.output(), Not(HasSubstr(kEnter)));
}

#ifdef LS_HAVE_CGIF
TEST_F(WatchTest, RenderWritesTheWholeEpisode) {
  const json film = run_json({"render", "c", "--gif", "c.gif", "--episode", "2"}, "render");
  const test::GifFilm gif = test::GifReader(test::slurp(*folder_ / "c.gif")).read();
  EXPECT_EQ(film.at("width"), gif.width);
  EXPECT_EQ(film.at("height"), gif.height);
  EXPECT_EQ(film.at("steps").get<std::size_t>() + 1, gif.pictures.size());
  EXPECT_EQ(film.at("score"), film.at("steps"));
  EXPECT_EQ(gif.delays.front(), 2);  // 50 a second
  const json pong = run_json({"render", "p", "--gif", "p.gif", "--frames", "90", "--scale", "0.5",
                              "--fps", "20", "--mode", "epsilon=0.5"},
                             "render");
  EXPECT_EQ(pong.at("pictures"), 90);
  EXPECT_EQ(pong.at("width"), 80);
  EXPECT_EQ(pong.at("height"), 105);
  const test::GifFilm read = test::GifReader(test::slurp(*folder_ / "p.gif")).read();
  EXPECT_EQ(read.pictures.size(), 90u);
  EXPECT_EQ(read.delays.front(), 5);
  EXPECT_EQ(run_json({"render", "p", "--gif", "p.gif", "--frames", "3"}, "render")
                .at("frames_per_second"),
            30);  // 60 are more than a GIF can show
}
#endif

TEST_F(WatchTest, RenderSaysWhatItCannotDo) {
  for (const Words& more :
       {Words{}, Words{"--gif", "x.gif", "--png", "x"}, Words{"--gif", "x.gif", "--fps", "60"},
        Words{"--png", "x", "--scale", "0"}, Words{"--png", "x", "--fps", "0"},
        Words{"--png", "x", "--frames", "0"}, Words{"--png", "x", "--episode", "-1"}}) {
    Words arguments = {"render", "c"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_THAT(run(arguments, 2).err, HasSubstr("lockstep: error: "));
  }
  run({"render", "none", "--gif", "x.gif"}, 4);
  EXPECT_EQ(folder_->names().count("x"), 0u);
  EXPECT_EQ(folder_->names().count("x.gif"), 0u);
}

#ifdef LS_HAVE_PNG
TEST_F(WatchTest, AStoppedRenderLeavesNothing) {
  const std::set<std::string> before = folder_->names();
  // large pictures take their time
  Process process(LS_TEST_PROGRAM, {"render", "p", "--png", "film", "--scale", "16"},
                  folder_->path());
  ASSERT_TRUE(process.wait_until([&] { return folder_->names().size() > before.size(); }));
  process.send(SIGTERM);
  EXPECT_EQ(process.wait().code, 143);
  EXPECT_EQ(folder_->names(), before);
}
#endif

}  // namespace watch_test
}  // namespace lockstep
