# What `cmake --install` puts in place: the headers, a CMake package and a pkg-config file; for libkronecker, where it is
# built, the same.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# Headers serve every architecture, a library one.
set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/kronecker)
set(any_architecture ARCH_INDEPENDENT)
if(TARGET kronecker_c)
  set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/kronecker)
  set(any_architecture "")
  get_target_property(c_library kronecker_c TYPE)
endif()

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS kronecker EXPORT kronecker-targets INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT kronecker-targets NAMESPACE kronecker:: DESTINATION ${package_dir})

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/kronecker-config.cmake.in
  ${PROJECT_BINARY_DIR}/kronecker-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/kronecker-config-version.cmake
  COMPATIBILITY SameMinorVersion ${any_architecture})
install(FILES ${PROJECT_BINARY_DIR}/kronecker-config.cmake ${PROJECT_BINARY_DIR}/kronecker-config-version.cmake
  DESTINATION ${package_dir})

# kronecker_install_pkgconfig(FILE FOLDER): a pkg-config file that finds its prefix from where it lies, unless one of the
# folders is fixed.
function(kronecker_install_pkgconfig file folder)
  if(IS_ABSOLUTE "${folder}")
    set(prefix "${CMAKE_INSTALL_PREFIX}")
  else()
    file(RELATIVE_PATH up "/${folder}/pkgconfig" "/")
    string(REGEX REPLACE "/$" "" up "${up}")
    set(prefix "\${pcfiledir}/${up}")
  endif()
  foreach(kind includedir libdir)
    string(TOUPPER ${kind} name)
    set(${kind} "${CMAKE_INSTALL_${name}}")
    cmake_path(ABSOLUTE_PATH ${kind} BASE_DIRECTORY "\${prefix}")
  endforeach()
  configure_file(${PROJECT_SOURCE_DIR}/cmake/${file}.in ${PROJECT_BINARY_DIR}/${file} @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${file} DESTINATION ${folder}/pkgconfig)
endfunction()
kronecker_install_pkgconfig(kronecker.pc ${CMAKE_INSTALL_DATADIR})

if(TARGET kronecker_c)
  install(TARGETS kronecker_c EXPORT kronecker-c-targets INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT kronecker-c-targets NAMESPACE kronecker:: DESTINATION ${package_dir})
  install(FILES ${PROJECT_SOURCE_DIR}/bindings/c/kronecker.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

  # With a static library a program in C has to link what one in C++ does by itself.
  set(c_flags "")
  set(c_private_libs "")
  if(c_library STREQUAL "STATIC_LIBRARY")
    set(runtime ${CMAKE_CXX_IMPLICIT_LINK_LIBRARIES})
    list(FILTER runtime INCLUDE REGEX "^(stdc\\+\\+|c\\+\\+|c\\+\\+abi|m)$")
    list(REMOVE_DUPLICATES runtime)
    list(TRANSFORM runtime PREPEND -l)
    target_link_libraries(kronecker_c INTERFACE "$<INSTALL_INTERFACE:$<$<LINK_LANGUAGE:C>:${runtime}>>")
    list(JOIN runtime " " c_private_libs)
    string(APPEND c_private_libs " -pthread")
    set(c_flags -DKRONECKER_STATIC)
  endif()
  kronecker_install_pkgconfig(kronecker-c.pc ${CMAKE_INSTALL_LIBDIR})
endif()
