#!/bin/sh
# One command from a bare Debian 12 to a running program:
#
#   ./lockstep.sh train cartpole      any command of the program; see ./lockstep.sh --help
#   ./lockstep.sh test [ctest args]   builds and runs the tests (labels slow, live and exhaustive only
#                                     when asked for by -L; -L '^host/files$' runs the tests of a folder)
#   ./lockstep.sh bench [args]        builds and runs the benchmarks
#   LS_CUDA_EMULATOR=1 ./lockstep.sh train cartpole --device cuda
#                                     the CUDA kernels without a GPU, on the emulator of the tests
#   ./lockstep.sh --no-install ...    never touches the system: lists what is missing and exits 3
#
# Missing Debian packages are installed once (root or sudo), then the project is configured and built
# in build/cpu, with its CUDA part where there is nvcc (in PATH or /usr/local/cuda/bin), and the
# program is started in the caller's folder. Later calls cost a no-op ninja.
# Exit codes: 3 something is missing and cannot be installed; 1 the build failed (its log is shown);
# else the program's own. Messages of this script go to stderr; stdout is the program's.
set -eu

say() { printf 'lockstep.sh: %s\n' "$*" >&2; }

script=$0
if [ -L "$script" ]; then script=$(readlink -f -- "$script"); fi
case $script in
  */*) root=$(CDPATH='' cd -- "${script%/*}" && pwd -P) ;;
  *) root=$(pwd -P) ;;
esac
build=$root/build/cpu
log=$build/lockstep-build.log

install=yes
if [ "${1-}" = --no-install ]; then
  install=no
  shift
fi
case ${1-} in
  test | bench) job=$1 ;;
  *) job=run ;;
esac
emulator=no
if [ "$job" = test ] || [ "${LS_CUDA_EMULATOR-}" = 1 ]; then emulator=yes; fi
if [ "$job" = bench ]; then
  for argument in "$@"; do
    if [ "$argument" = --emulated ]; then emulator=yes; fi
  done
fi

# --- what the build needs: a program or a header stands for its package (dpkg is slow to ask) ---
missing=
need_program() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need_header() {
  # shellcheck disable=SC2231  # $1 may be a pattern
  for file in /usr/include/$1 /usr/local/include/$1 /usr/include/*-linux-gnu*/$1; do
    if [ -e "$file" ]; then return 0; fi
  done
  missing="$missing $2"
}
find_missing() {
  missing=
  need_program "${CXX:-g++}" g++
  need_program cmake cmake
  need_program ninja ninja-build
  need_header nlohmann/json.hpp nlohmann-json3-dev
  need_header toml++/toml.h libtomlplusplus-dev
  need_header fmt/format.h libfmt-dev
  need_header CLI/CLI.hpp libcli11-dev
  need_header cgif.h libcgif-dev
  need_header png.h libpng-dev
  if [ "$job" = test ]; then
    need_header gtest/gtest.h libgtest-dev
    need_header gmock/gmock.h libgmock-dev
    need_program python3 python3
    need_program git git
    need_program pkg-config pkg-config
  fi
  if [ "$emulator" = yes ]; then
    need_header boost/context/detail/fcontext.hpp libboost-context-dev
    need_header thrust/version.h libthrust-dev
  fi
  if [ "$job" != run ]; then
    need_header benchmark/benchmark.h libbenchmark-dev
    need_header 'openblas*/cblas.h' libopenblas-dev
  fi
}

install_missing() {
  if [ "$install" = no ]; then
    say "missing Debian packages:$missing"
    say "install them with: apt-get install$missing"
    exit 3
  fi
  if ! command -v apt-get >/dev/null 2>&1; then
    say "missing (by the names of their Debian packages):$missing"
    say "this system has no apt-get; please install them in its own way"
    exit 3
  fi
  as_root=
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
      say "missing Debian packages:$missing"
      say "neither root nor sudo here; have an administrator run: apt-get install$missing"
      exit 3
    fi
    as_root=sudo
    if ! [ -t 0 ]; then as_root='sudo -n'; fi
  fi
  say "installing Debian packages:$missing"
  mkdir -p "$root/build"
  # shellcheck disable=SC2086  # the lists are meant to be split into words
  if ! {
    $as_root apt-get -q update &&
      $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends $missing
  } </dev/null >"$root/build/apt.log" 2>&1; then
    cat "$root/build/apt.log" >&2
    say "could not install:$missing"
    exit 3
  fi
  find_missing
  if [ -n "$missing" ]; then
    say "installed, but still not found:$missing"
    exit 3
  fi
}

fail() {
  cat "$log" >&2
  say "$1 failed; the log above is also in $log"
  exit 1
}

# --- configure: once, and again when tests or benchmarks are wanted for the first time ---
configure() {
  # a build folder that was moved or copied with the project is of no use
  if [ -f "$build/source-folder" ]; then
    IFS= read -r configured_for <"$build/source-folder" || configured_for=
    if [ "$configured_for" != "$root" ]; then rm -rf "$build"; fi
  fi
  mkdir -p "$build"
  # what a build folder has been asked for, as long as it is one
  if ! [ -f "$build/build.ninja" ]; then rm -f "$build"/with-*; fi
  tests=
  bench=
  emulated=
  if [ "$job" = test ] && ! [ -f "$build/with-tests" ]; then tests=ON; fi
  if [ "$job" != run ] && ! [ -f "$build/with-bench" ]; then bench=ON; fi
  if [ "$emulator" = yes ] && ! [ -f "$build/with-emulator" ]; then emulated=ON; fi
  if [ -f "$build/build.ninja" ]; then
    if [ -z "$tests$bench$emulated" ]; then return 0; fi
  else
    tests=${tests:-OFF}
    bench=${bench:-OFF}
    emulated=${emulated:-OFF}
    say "configuring and building in build/cpu (the first time takes a while)"
  fi
  # warnings are errors in CI only: another compiler's new warning must not stop a user
  werror=OFF
  if [ -n "${CI-}" ]; then werror=ON; fi
  (cd "$root" && cmake --preset cpu -DLS_WERROR=$werror \
    ${tests:+-DLS_TESTS=$tests} ${bench:+-DLS_BENCH=$bench} \
    ${emulated:+-DLS_CUDA_EMULATOR=$emulated}) >"$log" 2>&1 || fail configuring
  printf '%s\n' "$root" >"$build/source-folder"
  if [ "$tests" = ON ]; then : >"$build/with-tests"; fi
  if [ "$bench" = ON ]; then : >"$build/with-bench"; fi
  if [ "$emulated" = ON ]; then : >"$build/with-emulator"; fi
}

find_missing
if [ -n "$missing" ]; then install_missing; fi

mkdir -p "$build"
exec 9>"$root/build/lock" # two calls at once build one after the other
if command -v flock >/dev/null 2>&1; then flock 9; fi
configure
case $job in
  test)
    target=all
    # not built unless they are named; ctest then says so
    case " $*" in *slow* | *exhaustive*) target='all tests_slow tests_exhaustive' ;; esac
    ;;
  bench) target=lockstep_bench ;;
  run) target=lockstep_cli ;;
esac
if [ "$job$emulator" = benchyes ]; then target="$target lockstep_bench_emulated"; fi
# How far the build is: in place on a terminal, else a line every half minute.
show_progress() {
  pause=30
  if [ -t 2 ]; then pause=1; fi
  while sleep "$pause" >/dev/null 2>&1; do
    step=$(grep -o '^\[[0-9]*/[0-9]*\]' "$log" | tail -n 1)
    if [ -z "$step" ]; then continue; fi
    if [ -t 2 ]; then printf '\r\033[Klockstep.sh: building %s ' "$step" >&2; else say "building $step"; fi
  done
}
show_progress 9>&- &
progress=$!
built=yes
# shellcheck disable=SC2086  # one target or two
ninja -C "$build" $target >"$log" 2>&1 9>&- || built=no
kill "$progress" 2>/dev/null || :
if [ -t 2 ]; then printf '\r\033[K' >&2; fi
if [ $built = no ]; then fail 'the build'; fi
exec 9>&-

if [ "$job" != test ]; then exec "$build/lockstep" "$@"; fi

# --- test ---
shift
labels="-LE ^(slow|live|exhaustive)$"
for argument in "$@"; do
  case $argument in -L* | --label-*) labels= ;; esac
done
# shellcheck disable=SC2086  # two words
exec ctest --test-dir "$build" --output-on-failure --no-tests=error --no-label-summary \
  --parallel "$(nproc)" $labels "$@"
