// What `lockstep replay` is handed: actions, and start states, as .npy arrays, played by replay()
// and replay_game(). An input is one byte of choices, one with half the size of the first array,
// and the two arrays.
#include <algorithm>

#include "host/backend/environments.h"
#include "host/engine.h"
#include "host/errors.h"
#include "host/files/npy.h"
#include "host/game_replay.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/npy_file.h"

namespace lockstep::fuzz {
namespace {

constexpr std::size_t kMostFrames = 4;  // of a game: each draws two pictures
enum Choice : unsigned { kGame = 1, kFloat64 = 2, kInitial = 4, kPreset = 8, kSwapped = 16 };

void play_game(const NpyArray& actions, unsigned choice) {
  std::vector<std::uint8_t> values = actions.to_uint8("ACTIONS");
  values.resize(std::min(values.size(), kMostFrames));
  GameReplayOptions options;
  if ((choice & kPreset) != 0) options.preset = game_presets().front();
  const GameReplay result = replay_game(values, options);
  check(result.reward.size() == values.size() && result.ram.size() == 128 * values.size(),
        "a game of another length");
  const int known = find_environment(options.env).facts->watch.arcade.num_actions;
  check(std::all_of(values.begin(), values.end(), [&](int action) { return action < known; }),
        "an action that the game does not have was played");
}

void play_states(const NpyArray& actions, std::string_view initial_file, unsigned choice) {
  const std::vector<std::uint8_t> values = actions.to_uint8("ACTIONS");
  std::vector<double> initial;
  if ((choice & kInitial) != 0) initial = parse_npy(initial_file, "INITIAL").to_float64("INITIAL");
  std::int64_t T = actions.shape.empty() ? 1 : actions.shape[0];
  std::int64_t N = actions.shape.size() == 2 ? actions.shape[1] : 1;
  if ((choice & kSwapped) != 0) {  // shapes that do not fit the values
    constexpr std::int64_t kSteps[] = {1,           2, 0, -1, 1ll << 32, 1ll << 62, (1ll << 62) + 1,
                                       ~(1ll << 63)};
    T = kSteps[choice >> 5];
    N = static_cast<std::int64_t>(values.size());
  }
  ReplayOptions options;
  if ((choice & kGame) != 0) options.env = "pong";
  options.float64 = (choice & kFloat64) != 0;
  // per action: four numbers of state and of observation, and two for the first step of each
  const ReplayResult result = bounded(256 * values.size() + (64 << 10),
                                      [&] { return replay(values, T, N, initial, options); });
  check(result.T * result.N == static_cast<std::int64_t>(values.size()), "steps are lost");
  check(result.state.size() == static_cast<std::size_t>((T + 1) * N * result.S), "states are lost");
  check(result.reward.size() == values.size(), "rewards are lost");
}

void run(std::string_view input) {
  if (input.size() < 2) return;
  const auto choice = static_cast<unsigned char>(input[0]);
  const std::size_t size = std::size_t{2} * static_cast<unsigned char>(input[1]);
  const std::string_view arrays = input.substr(2);
  try {
    const NpyArray actions = parse_npy(arrays.substr(0, size), "ACTIONS");
    if ((choice & (kGame | kSwapped)) == kGame) {
      play_game(actions, choice);
    } else {
      play_states(actions, arrays.substr(std::min(size, arrays.size())), choice);
    }
  } catch (const BadInput&) {
    return;
  } catch (const InvalidArgument&) {  // the program turns it into BadInput with the file's name
    return;
  }
}

std::string input_of(unsigned choice, const std::string& actions, const std::string& initial) {
  std::string input = {static_cast<char>(choice), static_cast<char>((actions.size() + 1) / 2)};
  input += actions;
  if (actions.size() % 2 != 0) input += ' ';
  return input + initial;
}

std::vector<std::string> seeds() {
  const std::string two = std::string("\1\0\1\0\1\1", 6);
  const std::string numbers(32, '\0');
  return {
      input_of(0, npy_of("|u1", "(3, 2)", two), ""),
      input_of(kInitial, npy_of("|u1", "(6,)", two), npy_of("<f8", "(4,)", numbers)),
      input_of(kInitial | kFloat64, npy_of("|u1", "(3, 2)", two), npy_of("<f4", "(2, 4)", numbers)),
      input_of(kGame, npy_of("|u1", "(6,)", two), ""),
      input_of(kGame | kPreset, npy_of("|i1", "(6,)", two), ""),
      input_of(kGame, npy_of("|u1", "(4,)", "\2\3\4\5"), ""),  // the last that there is
      input_of(kSwapped | 0xe0, npy_of("|u1", "(6,)", two), "")};
}

std::string mutate(std::string input, Random& random,
                   const std::function<std::string(std::string)>& bytes) {
  if (input.size() < 2) return input_of(0, npy_of("|u1", "(1,)", "\1"), "");
  if (random() % 4 == 0) input[0] = static_cast<char>(random());
  const std::size_t size = std::size_t{2} * static_cast<unsigned char>(input[1]);
  std::string actions = input.substr(2, size);
  std::string initial = input.size() > 2 + size ? input.substr(2 + size) : "";
  std::string& changed = random() % 2 == 0 ? actions : initial;
  if (random() % 8 == 0 && !changed.empty()) {
    changed.back() = static_cast<char>(below(random, 8));  // an action of a game, or nearly
  } else {
    changed = random() % 2 == 0 ? bytes(changed) : mutate_json(changed, random);
  }
  return input_of(static_cast<unsigned char>(input[0]), actions.substr(0, 510), initial);
}

const Registration registration({"replay", seeds, run, nullptr, mutate});

}  // namespace
}  // namespace lockstep::fuzz
