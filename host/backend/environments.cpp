#include "host/backend/environments.h"

#include "host/errors.h"

namespace lockstep {

const EnvironmentEntry& find_environment(const std::string& name) {
  std::string known;
  for (const EnvironmentEntry& entry : environment_entries()) {
    if (name == entry.facts->name) return entry;
    known += (known.empty() ? "" : ", ") + std::string(entry.facts->name);
  }
  throw InvalidArgument("unknown environment '" + name + "'; there is: " + known);
}

}  // namespace lockstep
