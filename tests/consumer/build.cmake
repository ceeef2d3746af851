# Builds and runs the consumer project by one ROUTE, in a fresh folder.
#   cmake -DROUTE=... -DSOURCE=<this project> -DBINARY=... -DBUILD=<build folder of this project> -DCOMPILER=...
#         -DGENERATOR=... -P build.cmake
file(REMOVE_RECURSE ${BINARY})
file(MAKE_DIRECTORY ${BINARY})
set(prefix ${BINARY}/prefix)
if(ROUTE STREQUAL "find_package" OR ROUTE STREQUAL "pkg-config")
  execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endif()

if(ROUTE STREQUAL "pkg-config")
  set(ENV{PKG_CONFIG_PATH} ${prefix}/share/pkgconfig)
  execute_process(COMMAND pkg-config --cflags "kronecker >= 0.1" OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE
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
