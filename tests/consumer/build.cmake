# Builds and runs the consumer project by one ROUTE, in a fresh folder.
#   cmake -DROUTE=... -DSOURCE=<this project> -DBINARY=... -DBUILD=<build folder of this project> -DCOMPILER=...
#         -DGENERATOR=... -P build.cmake
file(REMOVE_RECURSE ${BINARY})
file(MAKE_DIRECTORY ${BINARY})
set(prefix ${BINARY}/prefix)
if(ROUTE STREQUAL "find_package" OR ROUTE STREQUAL "pkg-config")
  execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endif()

# fixed-folders: a package whose headers and data go to folders outside its prefix.
set(data ${prefix}/share)
if(ROUTE STREQUAL "fixed-folders")
  set(data ${BINARY}/fixed/data)
  # CMake allows no headers that are to be installed below the source folder, where a build folder may be.
  file(COPY ${SOURCE}/CMakeLists.txt ${SOURCE}/cmake ${SOURCE}/include DESTINATION ${BINARY}/source)
  execute_process(COMMAND ${CMAKE_COMMAND} -S ${BINARY}/source -B ${BINARY}/library -G ${GENERATOR} -DEigen3_DIR=${EIGEN}
    -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_INSTALL_PREFIX=${prefix} -DCMAKE_INSTALL_INCLUDEDIR=${BINARY}/fixed/headers
    -DCMAKE_INSTALL_DATADIR=${data} -DKRONECKER_BUILD_TESTS=OFF -DKRONECKER_BUILD_BENCHMARKS=OFF
    -DKRONECKER_BUILD_EXAMPLES=OFF OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${CMAKE_COMMAND} --install ${BINARY}/library OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endif()

if(ROUTE STREQUAL "pkg-config" OR ROUTE STREQUAL "fixed-folders")
  set(ENV{PKG_CONFIG_PATH} ${data}/pkgconfig)
  execute_process(COMMAND pkg-config --cflags "kronecker >= 0.2" OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE
    COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  execute_process(COMMAND ${COMPILER} -std=c++20 ${flags} ${SOURCE}/tests/consumer/consumer.cpp -o ${BINARY}/consumer
    COMMAND_ERROR_IS_FATAL ANY)
else()
  execute_process(COMMAND ${CMAKE_COMMAND} -S ${SOURCE}/tests/consumer -B ${BINARY} -G ${GENERATOR} -DROUTE=${ROUTE}
    -DKRONECKER_SOURCE=${SOURCE} -DCMAKE_PREFIX_PATH=${prefix} -DEigen3_DIR=${EIGEN} -DCMAKE_CXX_COMPILER=${COMPILER}
    -DCMAKE_BUILD_TYPE=Debug COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${CMAKE_COMMAND} --build ${BINARY} COMMAND_ERROR_IS_FATAL ANY)
endif()
execute_process(COMMAND ${BINARY}/consumer COMMAND_ERROR_IS_FATAL ANY)
