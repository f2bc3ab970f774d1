// See bench_options.h.
#include "bench/bench_options.h"

#include <limits>
#include <string_view>

#include "host/errors.h"
#include "host/options/option_value.h"

namespace lockstep::bench {
namespace {

/// The value of `--name VALUE` or `--name=VALUE`; moves `i` on.
std::string value_of(const std::vector<std::string>& words, std::size_t& i) {
  const std::string& word = words[i];
  const std::size_t equals = word.find('=');
  if (equals != std::string::npos) {
    require(equals + 1 < word.size(), word.substr(0, equals) + ": no value after '='");
    return word.substr(equals + 1);
  }
  require(i + 1 < words.size(), word + ": no value given");
  return words[++i];
}

double percent(std::string text) {
  if (text.ends_with("%")) text.pop_back();
  return parse_real(real_in(0, 1000), text, Origin{"--max-regress"}) / 100;
}

std::int64_t integer(const std::string& name, const std::string& text, std::int64_t max) {
  return parse_integer(integer_in(1, max), text, Origin{name});
}

}  // namespace

BenchOptions parse_bench_options(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  BenchOptions options;
  Sizes& sizes = options.sizes;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--smoke") {
      options.smoke = true;
      sizes = {.num_envs = 64,
               .steps = 20,
               .seeds = 2,
               .processes = 1,
               .pong_games = 32,
               .pong_games_steps = 20,
               .pong_envs = 16,
               .pong_steps = 264,
               .pong_seeds = 1,
               .pong_updates = 2,
               .ale_steps = 200};
    }
  }
  bool max_regress_given = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string name = words[i].substr(0, words[i].find('='));
    if (name == "--quick") {
      options.quick = true;
    } else if (name == "--json") {
      options.json = true;
    } else if (name == "--emulated") {
      options.emulated = true;
    } else if (name == "--help" || name == "-h") {
      options.help = true;
    } else if (name == "--baseline") {
      options.baseline = value_of(words, i);
    } else if (name == "--candidate") {
      options.candidate = value_of(words, i);
    } else if (name == "--save") {
      options.save = parse_text(output_path(), value_of(words, i), Origin{name});
    } else if (name == "--max-regress") {
      options.max_regress = percent(value_of(words, i));
      max_regress_given = true;
    } else if (name == "--envs") {
      sizes.num_envs = integer(name, value_of(words, i), 1 << 24);
      require(sizes.num_envs % 16 == 0,
              "--envs: must be a multiple of 16, is " + std::to_string(sizes.num_envs));
    } else if (name == "--steps") {
      sizes.steps = static_cast<std::int32_t>(integer(name, value_of(words, i), 1 << 20));
    } else if (name != "--smoke") {
      options.rest.push_back(words[i]);
    }
  }
  require(options.candidate.empty() || options.compares(), "--candidate: needs --baseline");
  require(!max_regress_given || options.compares(), "--max-regress: needs --baseline");
  require(!options.quick || options.candidate.empty(), "--quick: nothing is measured here");
  return options;
}

std::string bench_help() {
  return R"(lockstep bench: steps per second of every part, and of the op-by-op baseline

usage: lockstep bench [ARGUMENTS]

  --quick               the table of floors: measured, floor, share of the multiply-add peak,
                        ratio to the baseline; under a minute
  --save FILE           write all repetitions to FILE (JSON of Google Benchmark), complete after
                        every row; rows end late, all their repetitions being shuffled, but for
                        --benchmark_enable_random_interleaving=false
  --baseline FILE       compare medians with those of FILE; exit code 5 if a row became slower
                        than allowed beyond the noise
  --candidate FILE      with --baseline: compare this file instead of measuring
  --max-regress PERCENT how much slower is allowed (0..1000; default 5%)
  --envs N, --steps T   sizes of CartPole's workload (defaults 16384, 500)
  --smoke               tiny sizes, for a test that everything runs
  --emulated            count the emulated CUDA device as one: for tests, its times mean nothing
  --json                one JSON document on stdout
  --benchmark_...       passed on, e.g. --benchmark_filter=train, --benchmark_repetitions=9,
                        --benchmark_list_tests
)";
}

}  // namespace lockstep::bench
