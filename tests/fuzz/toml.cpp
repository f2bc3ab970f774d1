// Settings as TOML (host/options/options.h): a file somebody shares, and config.toml of a run.
#include "host/errors.h"
#include "host/options/options.h"
#include "tests/fuzz/fuzz.h"

namespace lockstep::fuzz {
namespace {

void run(std::string_view input) {
  ProgramOptions config;
  try {
    // messages repeat the names of options; the tree of a table takes some 100 bytes an entry
    config = bounded(256 * input.size() + (256 << 10),
                     [&] { return config_from_toml_text(input, "FILE"); });
  } catch (const BadInput&) {
    return;
  }
  check(input.size() <= kMaxConfigBytes, "a file beyond the limit accepted");
  validate(config);
  const std::string text = to_toml_of_call(config);
  check(to_toml_of_call(config_from_toml_text(text, "AGAIN")) == text,
        "what was written reads back differently");
}

std::vector<std::string> seeds() {
  Config pong;
  pong.env = "pong";
  return {to_toml(Config()), to_toml_of_call(ProgramOptions()), "env = \"pong\"\n",
          "recipe = \"linear\"\nlr = 0.1\nseed = \"18446744073709551615\"\nupdates = \"none\"\n"};
}

std::vector<std::string> words() {
  std::vector<std::string> list = {" = ",     "\"\"\"",   "'''",          "[[a]]",
                                   "[a.b]",   "a.b.c = ", "0x1f",         "inf",
                                   "nan",     "none",     "1_000",        "{ a = 1 }",
                                   "\\u0000", "\"pong\"", "\"cartpole\"", "1979-05-27T07:32:00Z"};
  for (const Option& option : option_table()) {
    list.push_back("\n" + std::string(option.name) + " = ");
    for (const std::string_view choice : option.value.choices) {
      list.push_back('"' + std::string(choice) + '"');
    }
  }
  return list;
}

std::string mutate(std::string input, Random& random,
                   const std::function<std::string(std::string)>& bytes) {
  switch (random() % 4) {
    case 0:  // a line once more, or gone
    case 1: {
      const std::size_t at = below(random, input.size() + 1);
      const std::size_t begin = at == 0 ? 0 : input.rfind('\n', at - 1) + 1;
      const std::size_t end = std::min(input.find('\n', at), input.size());
      if (random() % 2 == 0) return input.erase(begin, end - begin);
      return input.insert(begin, input.substr(begin, end - begin) + "\n");
    }
    case 2: {  // a key or a value of very many segments
      const std::size_t at = below(random, input.size() + 1);
      const char* const parts[] = {"a.", "[", "{a=", "[[", "a.b."};
      std::string deep;
      const char* const part = parts[below(random, std::size(parts))];
      const std::size_t most = std::size_t{1} << below(random, 13);
      for (std::size_t i = 0; i < most; ++i) deep += part;
      return input.insert(at, deep);
    }
    default:
      return random() % 2 == 0 ? bytes(input) : mutate_json(input, random);
  }
}

const Registration registration({"toml", seeds, run, words, mutate});

}  // namespace
}  // namespace lockstep::fuzz
