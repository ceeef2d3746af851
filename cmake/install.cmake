# What `cmake --install` puts in place: the headers, a CMake package and a pkg-config file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/kronecker)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS kronecker EXPORT kronecker-targets INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT kronecker-targets NAMESPACE kronecker:: DESTINATION ${package_dir})

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/kronecker-config.cmake.in
  ${PROJECT_BINARY_DIR}/kronecker-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/kronecker-config-version.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/kronecker-config.cmake ${PROJECT_BINARY_DIR}/kronecker-config-version.cmake
  DESTINATION ${package_dir})

# The pkg-config file finds its prefix from where it lies, unless one of the folders is fixed.
if(IS_ABSOLUTE "${CMAKE_INSTALL_DATADIR}")
  set(pkgconfig_prefix "${CMAKE_INSTALL_PREFIX}")
else()
  file(RELATIVE_PATH up "/${CMAKE_INSTALL_DATADIR}/pkgconfig" "/")
  string(REGEX REPLACE "/$" "" up "${up}")
  set(pkgconfig_prefix "\${pcfiledir}/${up}")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(pkgconfig_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
else()
  set(pkgconfig_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/kronecker.pc.in ${PROJECT_BINARY_DIR}/kronecker.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/kronecker.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
