// See policy_agreement.h.
#include "host/cli/policy_agreement.h"

#include "host/errors.h"
#include "host/options/options.h"

namespace lockstep::cli {

void require_agreement(const Arguments& arguments, const Config& call, const PolicySource& source,
                       const std::string& path) {
  for (const char* name : {"env", "activation", "hidden"}) {
    if (!arguments.given(name)) continue;
    const Option& option = *find_option(name);
    const std::string given = option_text(call, option), own = option_text(source.config, option);
    require(given == own,
            arguments.origin(name).name + ": " + given + " is not the " + own + " of " + path);
  }
}

}  // namespace lockstep::cli
