// What a call of the program is given: the settings of its run, and what the library reads none of.
#pragma once

#include <cstdint>
#include <string>

#include "host/config.h"

namespace lockstep {

/// The rows of the option table whose fields are not Config's, beside those that are.
struct ProgramOptions : Config {
  std::string seeds;          // "A..B": train every seed of the range; empty = `seed` alone
  std::string config;         // TOML file the settings were read from
  bool print_config = false;  // print the settings instead of training
  bool json = false;
  bool quiet = false;
  std::int64_t print_every = 0;  // updates; 0 = by time
};

}  // namespace lockstep
