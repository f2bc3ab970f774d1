# Makes an environment header runnable without touching the engine:
#
#   lockstep_add_environment(envs/cartpole.h NAME cartpole TYPE lockstep::CartPole)
#     one library lockstep_env_<name>: the batch loops of the environment, instantiated once per
#     instruction set, each in a translation unit (and a namespace) of its own
#   lockstep_add_environment(envs/pong_objects.h NAME pong TYPE lockstep::ObjectPong OBJECTS)
#     the same for an environment of objects (envs/object_env.h)
#   lockstep_add_environment(... PICTURE envs/cartpole_picture.h)
#     how it looks (envs/picture.h), for those who watch
#   lockstep_environment_list(my_list cartpole corridor)
#     one library that defines the list the engine looks names up in
#   lockstep_cuda_parts(my_cuda NVCC ENVIRONMENTS cartpole corridor)
#     the same environments for CUDA: cmake/lockstep_cuda.cmake
#
# An executable links lockstep_host and exactly one list. The header is relative to the project root
# or absolute. Only these generated files are compiled for more than the baseline CPU.

include(CheckCXXSourceCompiles)

check_cxx_source_compiles("
#if !defined(__x86_64__)
#error not x86-64
#endif
int main() {}" LS_TARGET_IS_X86_64)

set(LS_ISAS scalar)
if(LS_TARGET_IS_X86_64)
  list(APPEND LS_ISAS avx2 avx512)
endif()
set(LS_ISA_FLAGS_scalar "")
set(LS_ISA_FLAGS_avx2 -mavx2 -mfma)
set(LS_ISA_FLAGS_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma
                        -mprefer-vector-width=512)

# GCC bug 105593: its own AVX intrinsics warn of an undefined vector they mean to be undefined.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  foreach(isa avx2 avx512)
    list(APPEND LS_ISA_FLAGS_${isa} -Wno-uninitialized -Wno-maybe-uninitialized)
  endforeach()
endif()

# LS_HAVE_AVX2, LS_HAVE_AVX512: which versions exist in this build; for the list and for the code
# that picks one at run time.
set(LS_ISA_DEFINITIONS)
foreach(isa IN LISTS LS_ISAS)
  string(TOUPPER ${isa} upper)
  list(APPEND LS_ISA_DEFINITIONS LS_HAVE_${upper}=1)
endforeach()

function(lockstep_add_environment header)
  cmake_parse_arguments(PARSE_ARGV 1 ENV "OBJECTS" "NAME;TYPE;PICTURE" "")
  if(NOT ENV_NAME OR NOT ENV_TYPE OR ENV_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "usage: lockstep_add_environment(header NAME name TYPE namespace::Type "
                        "[OBJECTS] [PICTURE header])")
  endif()
  set(template environment)
  if(ENV_OBJECTS)
    set(template object_environment)
  endif()
  set(ENV_HEADER "${header}")
  set(sources)
  foreach(isa IN LISTS LS_ISAS)
    string(TOUPPER ${isa} ENV_ISA)
    set(ENV_INCLUDES "#include \"${header}\"")
    if(ENV_PICTURE AND isa STREQUAL "scalar")
      string(APPEND ENV_INCLUDES "\n#include \"${ENV_PICTURE}\"")
    endif()
    set(source "${CMAKE_CURRENT_BINARY_DIR}/environments/${ENV_NAME}_${isa}.cpp")
    configure_file("${LS_ENVIRONMENT_TEMPLATES}/${template}.cpp.in" "${source}" @ONLY)
    set_source_files_properties("${source}" PROPERTIES COMPILE_OPTIONS "${LS_ISA_FLAGS_${isa}}")
    list(APPEND sources "${source}")
  endforeach()
  add_library(lockstep_env_${ENV_NAME} STATIC ${sources})
  target_link_libraries(lockstep_env_${ENV_NAME} PUBLIC lockstep_kernels)
  # for lockstep_environment_list() and lockstep_cuda_parts()
  set_target_properties(lockstep_env_${ENV_NAME} PROPERTIES LS_HEADER "${ENV_HEADER}"
                                                            LS_TYPE "${ENV_TYPE}"
                                                            LS_OBJECTS "${ENV_OBJECTS}")
  # the inner loops live here; the rest of the project is content with the build type's level
  target_compile_options(lockstep_env_${ENV_NAME} PRIVATE $<$<CONFIG:Release>:-O3>
                                                          $<$<CONFIG:Debug>:-O1>)
endfunction()

function(lockstep_environment_list target)
  set(LIST_DECLARATIONS)
  foreach(name IN LISTS ARGN)
    get_target_property(objects lockstep_env_${name} LS_OBJECTS)
    if(objects)
      string(APPEND LIST_DECLARATIONS "LS_DECLARE_OBJECTS(${name})\n")
    else()
      string(APPEND LIST_DECLARATIONS "LS_DECLARE_ENVIRONMENT(${name})\n")
    endif()
  endforeach()
  list(JOIN ARGN ", " LIST_NAMES)
  set(source "${CMAKE_CURRENT_BINARY_DIR}/environments/${target}.cpp")
  configure_file("${LS_ENVIRONMENT_TEMPLATES}/environment_list.cpp.in" "${source}" @ONLY)
  add_library(${target} STATIC "${source}")
  list(TRANSFORM ARGN PREPEND lockstep_env_ OUTPUT_VARIABLE libraries)
  target_link_libraries(${target} PUBLIC lockstep_kernels ${libraries})
  target_compile_definitions(${target} PRIVATE ${LS_ISA_DEFINITIONS})
  set_property(TARGET ${target} PROPERTY LS_ENVIRONMENTS ${ARGN})
endfunction()

set(LS_ENVIRONMENT_TEMPLATES "${CMAKE_CURRENT_LIST_DIR}/../cmake")
