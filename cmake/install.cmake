# The installed package: one archive, the public headers, the program, and the files by which
# find_package(lockstep) and pkg-config find them. Everything is relative to the installed place.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# liblockstep.a: the host library, the built-in environments and their list in one archive.
get_property(environments TARGET lockstep_builtin_environments PROPERTY LS_ENVIRONMENTS)
set(objects $<TARGET_OBJECTS:lockstep_host> $<TARGET_OBJECTS:lockstep_builtin_environments>)
foreach(name IN LISTS environments)
  list(APPEND objects $<TARGET_OBJECTS:lockstep_env_${name}>)
endforeach()
add_library(lockstep STATIC ${objects})
add_library(lockstep::lockstep ALIAS lockstep)
set_target_properties(lockstep PROPERTIES LINKER_LANGUAGE CXX)
target_compile_features(lockstep INTERFACE cxx_std_20)
target_link_libraries(lockstep PRIVATE Threads::Threads OpenMP::OpenMP_CXX ${CMAKE_DL_LIBS})
set(public_headers build_info.h config.h engine.h errors.h tensor.h training.h update_metrics.h)
list(TRANSFORM public_headers PREPEND "${PROJECT_SOURCE_DIR}/host/")
list(APPEND public_headers "${PROJECT_SOURCE_DIR}/kernels/update_figures.h")  # of UpdateMetrics
target_sources(lockstep PUBLIC FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}"
                                                FILES ${public_headers})

if(NOT LS_INSTALL)
  return()
endif()
install(
  TARGETS lockstep
  EXPORT lockstepTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/lockstep")
if(TARGET lockstep_cuda)
  install(TARGETS lockstep_cuda LIBRARY DESTINATION lib/lockstep)  # where the program looks for it
endif()
if(TARGET lockstep_cli)
  install(TARGETS lockstep_cli RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
  # the program knows its own options; each shell looks for them in a place of its own
  foreach(place bash/bash-completion/completions/lockstep zsh/zsh/site-functions/_lockstep
                fish/fish/vendor_completions.d/lockstep.fish)
    string(REGEX MATCH "^([a-z]+)/(.*)/([^/]+)$" parts "${place}")
    set(folder "${CMAKE_INSTALL_DATAROOTDIR}/${CMAKE_MATCH_2}")
    set(made "${PROJECT_BINARY_DIR}/completion/${CMAKE_MATCH_3}")
    install(CODE "file(MAKE_DIRECTORY \"${PROJECT_BINARY_DIR}/completion\")
      execute_process(COMMAND \"$<TARGET_FILE:lockstep_cli>\" completion ${CMAKE_MATCH_1}
                      OUTPUT_FILE \"${made}\" COMMAND_ERROR_IS_FATAL ANY)")
    install(FILES "${made}" DESTINATION "${folder}")
  endforeach()
endif()

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/lockstep")
install(EXPORT lockstepTargets NAMESPACE lockstep:: DESTINATION "${package_dir}")
configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/lockstepConfig.cmake.in" "${PROJECT_BINARY_DIR}/lockstepConfig.cmake"
  INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/lockstepConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/lockstepConfig.cmake"
              "${PROJECT_BINARY_DIR}/lockstepConfigVersion.cmake" DESTINATION "${package_dir}")

file(RELATIVE_PATH pc_to_prefix "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
configure_file("${PROJECT_SOURCE_DIR}/cmake/lockstep.pc.in" "${PROJECT_BINARY_DIR}/lockstep.pc"
               @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/lockstep.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
