// Tests for `replay` of an arcade game, through the real program: its arrays and its errors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/game_replay.h"
#include "tests/support/process.h"

namespace lockstep {
namespace replay_test {

using nlohmann::json;
using test::Process;
using test::ProcessResult;
using ::testing::HasSubstr;
using Words = std::vector<std::string>;

/// The bytes of a little-endian .npy file.
std::string npy(const std::string& type, const std::string& shape, const std::string& data) {
  std::string header =
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.resize(118 - 1, ' ');
  header += '\n';
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header +
         data;
}

class ReplayGameTest : public ::testing::Test {
 protected:
  ReplayGameTest() {
    for (std::size_t t = 0; t < 3000; ++t) actions_.push_back(static_cast<char>(t / 4 % 6));
    test::spill(folder_ / "a.npy", npy("|u1", "3000,", actions_));
  }
  ProcessResult run(const Words& more, int code = 0) const {
    Words words = {"replay", "pong", "--save", "o.npz"};
    words.insert(words.end(), more.begin(), more.end());
    ProcessResult result = Process(LS_TEST_PROGRAM, words, folder_.path()).wait();
    EXPECT_EQ(result.code, code) << result.err;
    return result;
  }
  /// Header and data of an array of the archive.
  std::pair<std::string, std::string> saved(const std::string& name) const {
    const std::string archive = test::slurp(folder_ / "o.npz");
    const std::size_t at = archive.find(name + ".npy") - 30;
    std::uint16_t name_size = 0, extra_size = 0;
    std::uint64_t size = 0;
    std::memcpy(&name_size, archive.data() + at + 26, 2);
    std::memcpy(&extra_size, archive.data() + at + 28, 2);
    std::memcpy(&size, archive.data() + at + 30 + name_size + 4, 8);
    const std::string file = archive.substr(at + 30 + name_size + extra_size, size);
    const std::size_t end = file.find('\n') + 1;
    return {file.substr(0, end), file.substr(end)};
  }
  template <class T>
  void expect_saved(const std::string& name, const std::string& type, const std::string& shape,
                    const std::vector<T>& values) const {
    const auto [header, data] = saved(name);
    EXPECT_THAT(header, HasSubstr("'descr': '" + type + "'")) << name;
    EXPECT_THAT(header, HasSubstr("'shape': (" + shape + ")")) << name;
    EXPECT_TRUE(data == std::string(reinterpret_cast<const char*>(values.data()),
                                    values.size() * sizeof(T)))
        << name;
  }

  test::ScratchFolder folder_;
  std::string actions_;
};

TEST_F(ReplayGameTest, SavesWhatEveryStepGave) {
  const std::vector<std::uint8_t> actions(actions_.begin(), actions_.end());
  for (const char* preset : {"", "Pong-v4"}) {
    Words words = {"--actions", "a.npy", "--seed", "8", "--json"};
    if (*preset != '\0') words.insert(words.end(), {"--preset", preset});
    const json printed = json::parse(run(words).out);
    const GameReplay expected = replay_game(actions, {"pong", preset, 8});
    expect_saved("reward", "|i1", "3000,", expected.reward);
    expect_saved("terminated", "|b1", "3000,", expected.terminated);
    expect_saved("truncated", "|b1", "3000,", expected.truncated);
    expect_saved("frames", "|u1", "3000,", expected.frames);
    expect_saved("ram", "|u1", "3000, 128", expected.ram);
    expect_saved("frame80_crc32", "<u4", "3000,", expected.frame80_crc32);
    expect_saved("picture_crc32", "<u4", "3000,", expected.picture_crc32);
    EXPECT_EQ(printed.at("episodes"), expected.episodes);
    EXPECT_EQ(printed.at("preset").is_null(), *preset == '\0');
    EXPECT_GT(printed.at("frames"), 2500);
  }
}

TEST_F(ReplayGameTest, NamesWhatIsWrong) {
  test::spill(folder_ / "six.npy", npy("|u1", "3,", std::string("\0\5\6", 3)));
  test::spill(folder_ / "two.npy", npy("|u1", "2, 2", std::string(4, '\0')));
  test::spill(folder_ / "none.npy", npy("|u1", "0,", ""));
  test::spill(folder_ / "real.npy", npy("<f4", "1,", std::string(4, '\0')));
  EXPECT_EQ(run({"--actions", "six.npy"}, 4).err,
            "lockstep: error: six.npy: replay: action 6 at step 2 is not in [0, 6)\n");
  EXPECT_EQ(run({"--actions", "two.npy"}, 4).err,
            "lockstep: error: two.npy: shape [2, 2] is not [T] with T >= 1\n");
  for (const char* file : {"none.npy", "real.npy", "missing.npy"}) {
    EXPECT_THAT(run({"--actions", file}, 4).err, HasSubstr(file));
  }
  EXPECT_THAT(run({"--actions", "a.npy", "--preset", "Pong-v5"}, 2).err,
              HasSubstr("--preset: 'Pong-v5' is not one of ALE/Pong-v5, "));
  EXPECT_THAT(run({"--actions", "a.npy", "--dtype", "float64"}, 2).err, HasSubstr("--dtype: pong"));
  EXPECT_THAT(run({"--actions", "a.npy", "--initial", "a.npy"}, 2).err,
              HasSubstr("--initial: pong"));
  EXPECT_THAT(run({}, 2).err, HasSubstr("--actions: a .npy file is required"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "o.npz"));
  const ProcessResult cartpole = Process(LS_TEST_PROGRAM,
                                         {"replay", "cartpole", "--actions", "a.npy", "--save",
                                          "o.npz", "--preset", "Pong-v4"},
                                         folder_.path())
                                     .wait();
  EXPECT_EQ(cartpole.code, 2);
  EXPECT_THAT(cartpole.err, HasSubstr("--preset: cartpole is no arcade game"));
}

}  // namespace replay_test
}  // namespace lockstep
