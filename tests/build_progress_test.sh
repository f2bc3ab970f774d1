#!/usr/bin/env bash
# lockstep.sh while it builds: on a terminal it says how far it is; a pipe is not held open by it; what
# the program prints is all there is on stdout. Compiler and build tools are stand-ins.
set -eu
source_root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/project/build/cpu" "$work/tools"
cp "$source_root/lockstep.sh" "$work/project/"
cat >"$work/tools/cmake" <<'TOOL'
#!/bin/sh
: >build/cpu/build.ninja
TOOL
cat >"$work/tools/ninja" <<'TOOL'
#!/bin/sh
printf '[1/3] one\n[2/3] two\na warning\n'
sleep "${BUILD_SECONDS:-0}"
printf '#!/bin/sh\necho result\n' >"$2/lockstep"
chmod +x "$2/lockstep"
TOOL
chmod +x "$work"/tools/*
export PATH=$work/tools:$PATH
cd "$work/project"

failed=0
expect() { # WHAT TEXT PATTERN
  if ! [[ $2 =~ $3 ]]; then
    printf '%s: expected %s in:\n%s\n' "$1" "$3" "$2"
    failed=1
  fi
}
began=$SECONDS
expect stdout "$(./lockstep.sh --no-install info 2>"$work/stderr")" '^result$'
expect both "$(./lockstep.sh --no-install info 2>&1)" 'result$'
if ((SECONDS - began > 15)); then echo "a pipe was held open for $((SECONDS - began)) s" && failed=1; fi
terminal=$(BUILD_SECONDS=3 script -qec './lockstep.sh --no-install info' /dev/null </dev/null)
expect terminal "$terminal" 'lockstep\.sh: building \[2/3\]'
expect terminal "$terminal" 'result'
exit $failed
