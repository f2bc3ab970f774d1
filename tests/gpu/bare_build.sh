#!/usr/bin/env bash
# run_all.sh on a machine that has a compiler, CMake, ninja, python3 and perhaps nvcc, but none of the
# libraries: is packages.txt all that is missing, and does the script find it?
#
#   tests/gpu/bare_build.sh [FOLDER]     FOLDER: where to work (default build/bare)
#
# The packages are downloaded as files. Then everything that this system has of them, and of what the
# build would otherwise find (git, dpkg, libpng, OpenBLAS by other names) is taken out of /usr, in a mount
# namespace of this process alone. There run_all.sh configures everything and builds a share: units that
# use each of the packages, one of kernels and one of a device's tests. Where mounts are not allowed the
# system's files stay, and where CMake found its packages is all that is seen.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
export LC_ALL=C.UTF-8
work=${1:-build/bare}
packages=tests/gpu/packages.txt

if [ "${LS_BARE_INSIDE-}" != 1 ]; then
  rm -rf "$work/debs" # else an older version would be unpacked too
  mkdir -p "$work/debs"
  (cd "$work/debs" && xargs apt-get -q download <"$root/$packages") >"$work/download.log" 2>&1 || {
    cat "$work/download.log"
    exit 1
  }
  # shellcheck disable=SC2016  # expanded inside
  layer='mount -t tmpfs layer /mnt && mkdir /mnt/upper /mnt/work &&
    mount -t overlay layer -o lowerdir=/usr,upperdir=/mnt/upper,workdir=/mnt/work /usr'
  for namespace in -m -Urm; do
    if unshare $namespace sh -c "$layer" 2>/dev/null; then
      LS_BARE_INSIDE=1 exec unshare $namespace sh -c "$layer && exec \"\$0\" \"\$@\"" "$root/tests/gpu/bare_build.sh" "$work"
    fi
  done
  echo 'no mounts here: the system keeps its own libraries'
fi
work=$(cd "$work" && pwd)

# Removes the files of all packages whose names match an expression, in the layer over /usr.
hide() {
  # shellcheck disable=SC2016  # for dpkg-query
  dpkg-query -W -f '${binary:Package}\n' | grep -E "$1" | xargs dpkg -L | grep '^/usr/' | sort -u |
    tr '\n' '\0' | xargs -0 rm -f 2>/dev/null || true # folders stay
}
if [ "${LS_BARE_INSIDE-}" = 1 ]; then
  listed=$(sed 's/[.+]/\\&/g' $packages | paste -sd '|')
  hide "^($listed|git|dpkg|lib(openblas|blas|lapack|gfortran|png|cgif|tomlplusplus|boost|thrust).*)(:|\$)"
  # links that no package owns: Debian's alternatives, and what the system's administrator put there
  find /usr/lib /usr/include /usr/local/lib /usr/local/include \( -name 'libopenblas*' -o -name 'libblas*' \
    -o -name 'liblapack*' -o -name 'cblas*.h' -o -name 'openblas*' \) -prune -exec rm -rf {} +
  for program in git dpkg-deb; do
    if command -v $program >/dev/null; then echo "$program is still there" && exit 1; fi
  done
  for header in fmt/core.h gtest/gtest.h benchmark/benchmark.h cblas.h; do
    if echo "#include <$header>" | g++ -E -x c++ - >/dev/null 2>&1; then echo "$header is still there" && exit 1; fi
  done
fi

# objects: whole programs would take minutes of nvcc. gtest and gmock; benchmark and OpenBLAS; CLI11 and
# fmt; nlohmann-json; toml++
export LS_CMAKE_OPTIONS=-DLS_UNITY=OFF
targets=(host/CMakeFiles/lockstep_host.dir/{options/config_file,files/metrics,build_stamp}.cpp.o
  host/cli/CMakeFiles/lockstep_commands.dir/parser.cpp.o
  bench/CMakeFiles/lockstep_bench_common.dir/{bench_main,op_by_op}.cpp.o)
if command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ]; then
  targets+=(CMakeFiles/lockstep_cuda_parts.dir/lockstep_cuda_parts/common.cu.o
    tests/gpu/CMakeFiles/gpu_cuda_finish_test.dir/cuda_finish_test.cu.o)
else
  echo 'no nvcc: only what a compiler for the CPU can build'
  LS_CMAKE_OPTIONS+=' -DLS_CUDA=OFF -DLS_GPU_TESTS=OFF'
fi
commit=aaaaaaaaaaaa0000000000000000000000000000
rm -rf "$work/build"
LS_DEBS=$work/debs LS_GPU_BUILD=$work/build LS_GPU_SECONDS=1200 LS_COMMIT=$commit \
  LS_GPU_TARGETS="${targets[*]}" tests/gpu/run_all.sh build

failed=0
complain() {
  echo "$*"
  failed=1
}
deps=$work/build/deps
for name in fmt_DIR nlohmann_json_DIR tomlplusplus_DIR CLI11_DIR GTest_DIR benchmark_DIR LS_OPENBLAS_INCLUDE \
  LS_OPENBLAS_LIBRARY; do
  value=$(sed -n "s/^$name:[A-Z]*=//p" "$work/build/CMakeCache.txt")
  case $value in
    "$deps"/*) ;;
    *) complain "$name is $value, not of $packages" ;;
  esac
done
# what a program is linked with, and needs when it runs
LD_LIBRARY_PATH=$(printf '%s:' "$deps"/usr/lib/*-linux-gnu "$deps"/usr/lib/*-linux-gnu/openblas-*)
export LD_LIBRARY_PATH
while IFS= read -r library; do
  missing=$(ldd "$library" | grep 'not found' || true)
  [ -z "$missing" ] || complain "$library needs $missing"
done < <(find "$deps" -type f -name '*.so*')
if [ "${LS_BARE_INSIDE-}" = 1 ] && ! grep -q "\"${commit:0:12}\"" "$work/build/host/build_stamp.cpp"; then
  complain "the build stamp does not have the commit of LS_COMMIT: $(grep kCommit "$work/build/host/build_stamp.cpp")"
fi
exit $failed
