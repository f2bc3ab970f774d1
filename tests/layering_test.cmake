# The rules that need no compiler: who may include whom, what a file extension promises, file length,
# words that must not appear, and that every header is listed for header verification.
# Run as: cmake -DROOT=<project root> -P layering_test.cmake
# Before it looks at the tree it shows itself a wrong line for every rule (the planted table below).
cmake_minimum_required(VERSION 3.25)

set(LINE_LIMIT 400)

# Sets `out` to the reason why `file` may not include "target", or to "".
function(include_fault out file target)
  set(reason "")
  set(portable "^((envs|kernels)/[a-z0-9_]+|kernels/watch/watch)\\.h$")
  if(file MATCHES "^envs/")
    if(NOT target MATCHES "^envs/")
      set(reason "envs may include envs alone")
    endif()
  elseif(file MATCHES "^kernels/[^/]+$")
    if(NOT target MATCHES "${portable}")
      set(reason "portable kernels may include envs and portable kernels alone")
    endif()
  elseif(file MATCHES "^kernels/cpu/")
    if(NOT target MATCHES "${portable}" AND NOT target MATCHES "^kernels/(cpu|watch)/")
      set(reason "kernels/cpu may include envs, kernels/*.h, kernels/watch and kernels/cpu")
    endif()
  elseif(file MATCHES "^kernels/cuda/")
    if(NOT target MATCHES "${portable}" AND NOT target MATCHES "^kernels/cuda/")
      set(reason "kernels/cuda may include envs, kernels/*.h and kernels/cuda")
    endif()
  elseif(file MATCHES "^kernels/watch/")
    if(NOT target MATCHES "${portable}" AND NOT target MATCHES "^kernels/(watch|cpu)/")
      set(reason "kernels/watch may include envs, kernels/*.h, kernels/cpu and kernels/watch")
    endif()
  elseif(file MATCHES "^host/cli/")
    if(NOT target MATCHES "^host/")
      set(reason "the command line may include host alone")
    endif()
  elseif(file MATCHES "^host/")
    if(target MATCHES "^kernels/(cpu|cuda)/")
      if(NOT file MATCHES "^host/${CMAKE_MATCH_1}/")
        set(reason "only host/${CMAKE_MATCH_1} sees kernels/${CMAKE_MATCH_1}")
      endif()
    elseif(NOT target MATCHES "${portable}" AND NOT target MATCHES "^(host|kernels/watch)/" OR
           target MATCHES "^host/cli/")
      set(reason "host may include envs, kernels/*.h, kernels/watch and host")
    endif()
  endif()
  if(file MATCHES "\\.(h|cpp)$" AND target MATCHES "\\.cuh$" AND
     NOT file MATCHES "^(tests/emulator/|tests/(kernels|host)/cuda/|tests/support/cuda_|bench/ladder/)")
    set(reason "a .h or .cpp is for the host compiler alone and may not include a .cuh")
  endif()
  set(${out} "${reason}" PARENT_SCOPE)
endfunction()

# Sets `out` to the reason why `file` may not include <target>, or to "".
function(system_include_fault out file target)
  set(reason "")
  if(target MATCHES "^(x86|[a-z]*mm)intrin\\.h$" AND NOT file MATCHES "^(kernels/cpu|tests|bench)/")
    set(reason "intrinsics belong to kernels/cpu")
  elseif(target MATCHES "^CLI/" AND NOT file MATCHES "^host/cli/")
    set(reason "CLI11 belongs to host/cli")
  elseif(target MATCHES "^(toml\\+\\+|fmt)/" AND NOT file MATCHES "^(host|tests|bench)/.*\\.cpp$")
    set(reason "toml++ and fmt belong in .cpp files of host")
  elseif(target MATCHES "^nlohmann/" AND file MATCHES "^(envs|kernels)/")
    set(reason "JSON belongs to host")
  elseif(target MATCHES "^(cuda|cublas|thrust|cub/)" AND NOT
         file MATCHES "^(kernels/cuda/|host/cuda/|tests/emulator/|tests/(kernels|host)/cuda/|tests/support/cuda_|bench/(cuda|ladder/))")
    set(reason "CUDA headers belong to kernels/cuda and host/cuda")
  endif()
  set(${out} "${reason}" PARENT_SCOPE)
endfunction()

# Sets `out` to the reason why `file` may not have this text, or to "".
function(text_fault out file text)
  set(reason "")
  if(text MATCHES "__CUDACC__" AND NOT file MATCHES "^(envs/host_device\\.h|kernels/cuda/launch\\.cuh)$")
    set(reason "__CUDACC__ is for envs/host_device.h and kernels/cuda/launch.cuh")
  elseif(text MATCHES "(TODO|FIXME|[^X]XXX[^X])")
    set(reason "'${CMAKE_MATCH_1}' marks unfinished work")
  elseif(text MATCHES "(/work/|/root/|/home/[a-z])")
    set(reason "'${CMAKE_MATCH_1}' is a path of one machine")
  elseif(file MATCHES "^(envs|kernels|host)/" AND
         text MATCHES "(using namespace std[^:]|std::random_device|[^a-z_]s?rand\\(|ffast-math)")
    set(reason "'${CMAKE_MATCH_1}' breaks the house style")
  elseif(file MATCHES "^(kernels/cuda/|bench/ladder/)" AND NOT file MATCHES "launch\\.cuh$" AND
         text MATCHES "(<<<|__shared__|__activemask|[^a-z_]asm[ (]|<cub/|cooperative_groups|__syncwarp\\(\\))")
    set(reason "'${CMAKE_MATCH_1}' is outside of what both compilers of kernels take: launch.cuh")
  endif()
  set(${out} "${reason}" PARENT_SCOPE)
endfunction()

# What a folder may not see at the end of any chain of includes: folder, what, why.
set(HIDDEN
    "^host/(options|files|backend|train)/|^host/engine(_impl)?[.]h$|what the engine is made of does not know it"
    "^host/options/|^host/(train|cpu|cuda|cli|plot)/|options know no device and no training"
    "^host/files/|^host/(options|train|backend|cpu|cuda|cli)/|files know formats alone"
    "^host/backend/|^host/(options|train|cpu|cuda|cli|plot)/|what devices share knows none of them"
    "^host/text[.]|^host/[a-z]+/|pieces of text know nothing else"
    "^host/plot/|^host/[a-z]+/|plots know nothing else"
    "^host/cpu/|^(host|kernels)/cuda/|the CPU does not see CUDA"
    "^host/(cpu|cuda)/|^host/train/|devices know no training"
    "^(host|kernels)/cuda/|^kernels/cpu/|CUDA does not see the CPU's kernels"
    "^host/train/|^host/(cpu|cuda|cli)/|training knows no device"
    "^host/[a-z_]+[.]h$|^host/cli/|the library does not know the program")

# Sets `out` to the chain of includes from `file` to something hidden from it, or to "". What a file
# includes is the variable "<prefix><file>".
function(chain_fault out prefix file)
  set(reason "")
  foreach(rule IN LISTS HIDDEN)
    string(REGEX MATCH "^(.*)[|](\\^.*)[|]([^|]*)$" whole "${rule}")
    set(what "${CMAKE_MATCH_2}")
    set(why "${CMAKE_MATCH_3}")
    if(NOT file MATCHES "${CMAKE_MATCH_1}")
      continue()
    endif()
    set(seen "${file}")
    set(queue "${file}")
    set(chain_${file} "${file}")
    while(queue AND NOT reason)
      list(POP_FRONT queue next)
      foreach(target IN LISTS "${prefix}${next}")
        if(target IN_LIST seen)
          continue()
        endif()
        list(APPEND seen "${target}")
        list(APPEND queue "${target}")
        set(chain_${target} "${chain_${next}} > ${target}")
        if(target MATCHES "${what}" AND NOT (file MATCHES "^host/plot/" AND target MATCHES "^host/plot/"))
          set(reason "${why}: ${chain_${target}}")
          break()
        endif()
      endforeach()
    endwhile()
  endforeach()
  set(${out} "${reason}" PARENT_SCOPE)
endfunction()

# --- planted faults: rule, file, what it says ---
set(planted
    "include|envs/a.h|host/engine.h" "include|envs/a.h|kernels/philox.h"
    "include|kernels/a.h|kernels/cpu/pack.h" "include|kernels/a.h|host/errors.h"
    "include|kernels/cpu/a.h|kernels/cuda/launch.cuh" "include|kernels/cpu/a.h|host/errors.h"
    "include|kernels/cuda/a.cuh|kernels/cpu/pack.h" "include|host/engine.cpp|kernels/cpu/pack.h"
    "include|host/engine.cpp|host/cli/main.h" "include|host/engine.cpp|tests/support/a.h"
    "include|host/cli/main.cpp|envs/cartpole.h" "include|host/cli/main.cpp|bench/a.h"
    "include|tests/a_test.cpp|kernels/cuda/launch.cuh"
    "system|host/engine.cpp|immintrin.h" "system|host/engine.cpp|CLI/CLI.hpp"
    "system|host/engine.h|fmt/format.h" "system|envs/a.h|nlohmann/json.hpp"
    "system|host/engine.h|cuda_runtime.h"
    "text|host/engine.cpp|#ifdef __CUDACC__" "text|host/a.cpp|// TODO: later" "text|README.md|cd /root/x"
    "text|host/a.cpp|std::random_device d" "text|envs/a.h| rand()"
    "include|host/engine.cpp|kernels/cuda/launchers.h" "text|kernels/cuda/a.cuh|kernel<<<1, 2>>>()"
    "chain|host/options/a.cpp|host/engine.h" "chain|host/files/a.cpp|host/engine.h"
    "chain|host/backend/a.cpp|host/engine.h" "chain|host/train/a.cpp|host/engine.h"
    "chain|host/train/a.cpp|host/cpu/a.h" "chain|host/files/a.cpp|host/options/options.h"
    "chain|host/cuda/a.cpp|kernels/cpu/launchers.h" "chain|kernels/cuda/a.cuh|kernels/cpu/launchers.h"
    "chain|host/cpu/a.cpp|host/train/trainer.h" "chain|host/cuda/a.h|host/train/trainer.h"
    "chain|host/cpu/a.cpp|kernels/cuda/launchers.h" "chain|host/plot/a.cpp|host/files/npy.h"
    "chain|host/options/a.cpp|host/cpu/a.h" "chain|host/backend/a.cpp|host/cuda/a.h"
    "chain|host/backend/a.cpp|host/options/options.h" "chain|host/text.cpp|host/options/options.h"
    "chain|host/engine.h|host/cli/a.h"
    "text|kernels/cuda/a.cuh|__shared__ int a" "text|kernels/cuda/a.cuh| asm (" "text|kernels/cuda/a.cuh|__syncwarp()")
foreach(row IN LISTS planted)  # this file itself is left out of the text rules below
  string(REPLACE "|" ";" row "${row}")
  list(GET row 0 rule)
  list(GET row 1 file)
  list(GET row 2 what)
  if(rule STREQUAL "include")
    include_fault(reason "${file}" "${what}")
  elseif(rule STREQUAL "system")
    system_include_fault(reason "${file}" "${what}")
  elseif(rule STREQUAL "chain")  # by way of two headers that may be included
    set("planted ${file}" kernels/between.h)
    set("planted kernels/between.h" kernels/further.h)
    set("planted kernels/further.h" "${what}")
    chain_fault(reason "planted " "${file}")
  else()
    text_fault(reason "${file}" "${what}")
  endif()
  if(NOT reason)
    message(SEND_ERROR "this test is blind: ${rule} rule let '${what}' pass in ${file}")
  endif()
endforeach()

# --- the tree ---
set(faults "")
macro(fault file reason)
  string(APPEND faults "  ${file}: ${reason}\n")
endmacro()

file(GLOB_RECURSE files RELATIVE "${ROOT}"
     "${ROOT}/envs/*" "${ROOT}/kernels/*" "${ROOT}/host/*" "${ROOT}/tests/*" "${ROOT}/bench/*"
     "${ROOT}/cmake/*" "${ROOT}/*.md" "${ROOT}/docs/*.md" "${ROOT}/lockstep.sh" "${ROOT}/.ci/*")
list(FILTER files EXCLUDE REGEX "^(build|runs|\\.[a-z]+env)/|__pycache__|\\.(npz|npy|safetensors)$")
list(LENGTH files count)
if(count LESS 20)
  fault("${ROOT}" "found ${count} files only; wrong ROOT?")
endif()
set(read_names LS_COLORS LS_OPTIONS LS_BLOCK_SIZE)  # LS_* names that somebody reads; these are of ls(1)
set(listed "")
foreach(folder envs kernels host)
  file(READ "${ROOT}/${folder}/CMakeLists.txt" list_text)
  string(APPEND listed "${list_text}")
endforeach()

foreach(file IN LISTS files)
  file(READ "${ROOT}/${file}" text)
  if(NOT file STREQUAL "tests/layering_test.cmake")
    text_fault(reason "${file}" "${text}")
    if(reason)
      fault("${file}" "${reason}")
    endif()
  endif()
  if(NOT file MATCHES "\\.(h|cpp|cuh|cu|py|cmake|sh)$|CMakeLists.txt$|^lockstep.sh$|^.ci/")
    continue()
  endif()
  if(NOT file MATCHES "^host/options/|^tests/host/|layering_test")
    string(REGEX MATCHALL "LS_[A-Z_]+" names "${text}")
    list(APPEND read_names ${names})
  endif()
  string(REGEX REPLACE "[^\n]" "" newlines "${text}")
  string(LENGTH "${newlines}" lines)
  if(lines GREATER LINE_LIMIT)
    fault("${file}" "${lines} lines; over ${LINE_LIMIT} it wants splitting")
  endif()
  if(NOT file MATCHES "\\.(h|cpp|cuh|cu)$")
    continue()
  endif()
  file(STRINGS "${ROOT}/${file}" includes REGEX "^[ \t]*#[ \t]*include")
  foreach(line IN LISTS includes)
    if(line MATCHES "include[ \t]*\"([^\"]+)\"")
      set(target "${CMAKE_MATCH_1}")
      list(APPEND "includes ${file}" "${target}")
      include_fault(reason "${file}" "${target}")
      if(NOT EXISTS "${ROOT}/${target}" AND
         NOT (file MATCHES "^tests/emulator/" AND EXISTS "${ROOT}/tests/emulator/include/${target}"))
        set(reason "no such file from the project root (other people's headers go in <>)")
      endif()
    elseif(line MATCHES "include[ \t]*<([^>]+)>")
      set(target "${CMAKE_MATCH_1}")
      system_include_fault(reason "${file}" "${target}")
    else()
      continue() # a macro
    endif()
    if(reason)
      fault("${file}" "includes ${target}: ${reason}")
    endif()
  endforeach()
  if(file MATCHES "^(envs|kernels|host)/([a-z0-9_/]+\\.h)$")
    set(name "${CMAKE_MATCH_2}")
    if(NOT file MATCHES "^(host/cli/|kernels/cuda/|host/cuda/)" AND NOT listed MATCHES "[ \n]${name}[ \n)]")
      fault("${file}" "not listed in the header sets of its CMakeLists.txt")
    endif()
  endif()
endforeach()
# variables that the options leave to others have another reader
file(STRINGS "${ROOT}/host/options/options.cpp" names REGEX "^ +\"LS_[A-Z_]+\",")
string(REGEX MATCHALL "LS_[A-Z_]+" names "${names}")
foreach(name IN LISTS names)
  if(NOT name IN_LIST read_names)
    fault("host/options/options.cpp" "${name} is nobody's variable")
  endif()
endforeach()
foreach(file IN LISTS files)
  if(file MATCHES "^(host|kernels)/.*\\.(h|cpp|cuh)$")
    chain_fault(reason "includes " "${file}")
    if(reason)
      fault("${file}" "${reason}")
    endif()
  endif()
endforeach()
message("${count} files looked at\n${faults}")
if(faults)
  message(FATAL_ERROR "the layering rules do not hold")
endif()
