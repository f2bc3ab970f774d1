# Code for wider instruction sets must not leak into the baseline: the linker keeps one copy of each
# inline function, and if that copy came from an AVX translation unit, an older CPU would crash.
# Two checks on the object files: every symbol that an AVX object offers to the linker carries the
# name of its instruction set, and no other object holds an instruction on 256- or 512-bit registers.
# Run as: cmake -DNM=<nm> -DOBJDUMP=<objdump> -DENVIRONMENT=<objects> -DBASELINE=<objects>
#               -P isa_symbols_test.cmake              (objects separated by |)
cmake_minimum_required(VERSION 3.25)
string(REPLACE "|" ";" ENVIRONMENT "${ENVIRONMENT}")
string(REPLACE "|" ";" BASELINE "${BASELINE}")

set(checked 0)
foreach(object IN LISTS ENVIRONMENT)
  if(NOT object MATCHES "_(avx2|avx512)\\.cpp")
    list(APPEND BASELINE "${object}")
    continue()
  endif()
  set(isa "${CMAKE_MATCH_1}")
  execute_process(COMMAND "${NM}" --defined-only --extern-only --format=posix "${object}"
                  OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE ";" "," symbols "${symbols}")
  string(REPLACE "\n" ";" symbols "${symbols}")
  set(own 0)
  foreach(line IN LISTS symbols)
    if(line MATCHES "^DW\\.ref\\.__gxx_personality_v0")
      continue() # a data word, the same everywhere
    elseif(line MATCHES "^[^ ]*${isa}[^ ]* ")
      math(EXPR own "${own} + 1")
    elseif(line)
      message(SEND_ERROR "${object}: this symbol may be shared with the baseline: ${line}")
    endif()
  endforeach()
  if(own EQUAL 0)
    message(SEND_ERROR "${object}: no symbol named after ${isa}; is this the right object?")
  endif()
  math(EXPR checked "${checked} + 1")
endforeach()
if(checked EQUAL 0)
  message(FATAL_ERROR "no AVX object among: ${ENVIRONMENT}")
endif()

foreach(object IN LISTS BASELINE)
  execute_process(COMMAND "${OBJDUMP}" --disassemble --no-show-raw-insn "${object}"
                  COMMAND grep "%[yz]mm" # CMake's own expressions take seconds for megabytes
                  OUTPUT_VARIABLE code RESULTS_VARIABLE status)
  if(NOT status MATCHES "^0;[01]$")
    message(FATAL_ERROR "${object}: cannot be looked into: ${status}")
  endif()
  if(code MATCHES "^[^\n]+")
    message(SEND_ERROR "${object}: not for every x86-64 CPU: ${CMAKE_MATCH_0}")
  endif()
endforeach()
list(LENGTH BASELINE baseline)
message(STATUS "${checked} AVX and ${baseline} baseline objects looked at")
