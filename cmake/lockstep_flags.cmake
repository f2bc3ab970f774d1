# The flags every target of ours is built with, and nothing else. Results are part of the contract:
# contraction is off, fast-math is never on, and the baseline is the compiler's plain one (x86-64);
# wider instruction sets are switched on for the translation units of envs/add_environment.cmake only.

add_library(lockstep_flags INTERFACE)
target_compile_features(lockstep_flags INTERFACE cxx_std_20)
set_property(GLOBAL PROPERTY USE_FOLDERS ON)
set(CMAKE_CXX_EXTENSIONS OFF)
target_include_directories(lockstep_flags INTERFACE "${PROJECT_SOURCE_DIR}")
# The builder's own flags (CXXFLAGS, a toolchain file, a project around this one) stand before ours,
# which take back what changes results: -ffast-math, -Ofast, their parts, the x87, constants cut to
# float, and the object file by which they link "flush subnormal numbers to 0" into a program. Flags
# of the plain kind ask for none of it. host/fingerprint.cpp refuses what cannot be taken back.
set(cxx_options)
string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
set(builder_flags "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}} ${CMAKE_EXE_LINKER_FLAGS}")
if(CMAKE_CONFIGURATION_TYPES OR NOT PROJECT_IS_TOP_LEVEL OR
   NOT builder_flags MATCHES "^( |-O[0-3gsz]|-DNDEBUG|-g[0-9]?)*$")
  list(APPEND cxx_options -fno-fast-math -fno-unsafe-math-optimizations -fno-finite-math-only
       -fno-associative-math -fno-reciprocal-math -fsigned-zeros)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND cxx_options -fno-single-precision-constant)
  endif()
  # the last -O is the one that says whether -Ofast holds
  target_link_options(lockstep_flags INTERFACE -O2 -fno-fast-math -fno-unsafe-math-optimizations)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    list(APPEND cxx_options -mfpmath=sse)
  endif()
endif()
# -fno-math-errno changes no result: it lets sqrt be the instruction, with no branch for errno
list(APPEND cxx_options -ffp-contract=off -fno-math-errno -Wall -Wextra -Wshadow -Wconversion
     -Wdouble-promotion)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # `|` and `&` on masks are one source for packs and for bool; in g++ -Wconversion leaves the sign out
  list(APPEND cxx_options -Wno-bitwise-instead-of-logical -Wno-sign-conversion)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC bug 105651: false alarms from std::string's operator+
  list(APPEND cxx_options -Wno-restrict)
endif()
# the plain builds decide about warnings: instrumented code raises false alarms of its own
if(LS_WERROR AND NOT LS_SANITIZE)
  list(APPEND cxx_options -Werror)
endif()
if(LS_SANITIZE)
  list(APPEND cxx_options -fsanitize=${LS_SANITIZE} -fno-omit-frame-pointer
       -fno-sanitize-recover=all -g1)
  target_link_options(lockstep_flags INTERFACE -fsanitize=${LS_SANITIZE})
endif()
# nvcc has flags of its own: lockstep_cuda.cmake
target_compile_options(lockstep_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${cxx_options}>")

# Lists a target's headers: `ninja all_verify_interface_header_sets` compiles each one alone, which
# proves that a header includes what it uses and that no .h needs anything but a C++ compiler.
function(lockstep_headers target scope)
  target_sources(${target} ${scope} FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}" FILES ${ARGN})
  set_target_properties(${target} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
endfunction()
