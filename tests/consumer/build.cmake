# Builds and runs the consumer project by one ROUTE, in a fresh folder.
#   cmake -DROUTE=... -DSOURCE=<this project> -DBINARY=... -DBUILD=<build folder of this project> -DCOMPILER=...
#         -DGENERATOR=... -P build.cmake
# Routes in C take C_COMPILER too, single-header takes PYTHON and QUICKSTART, that example built with the folder of headers.
# fetch_content may be given an ARCHIVE to fetch.
cmake_minimum_required(VERSION 3.21)
file(REMOVE_RECURSE ${BINARY})
file(MAKE_DIRECTORY ${BINARY})
set(prefix ${BINARY}/prefix)
set(consumer ${SOURCE}/tests/consumer)
if(ROUTE MATCHES "find_package|pkg-config")
  execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix} OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endif()

# fixed-folders: a package whose headers and data go to folders outside its prefix. Nothing is built to install it.
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

# Without CMake: what to compile, and what pkg-config finds the flags of.
set(package "")
set(static "")
if(ROUTE STREQUAL "pkg-config" OR ROUTE STREQUAL "fixed-folders")
  set(package "kronecker >= 0.2")
  set(ENV{PKG_CONFIG_PATH} ${data}/pkgconfig)
  set(command ${COMPILER} -std=c++20 ${consumer}/consumer.cpp)
elseif(ROUTE STREQUAL "c-pkg-config")
  set(package "kronecker-c >= 0.2")
  file(GLOB_RECURSE file ${prefix}/kronecker-c.pc)
  file(GLOB_RECURSE library ${prefix}/libkronecker.a)
  if(library)
    set(static --static)
  endif()
  cmake_path(GET file PARENT_PATH folder)
  set(ENV{PKG_CONFIG_LIBDIR} ${folder})  # there is no Eigen
  cmake_path(GET folder PARENT_PATH folder)
  set(command ${C_COMPILER} ${consumer}/c/consumer.c -Wl,-rpath,${folder})
elseif(ROUTE STREQUAL "single-header")
  set(package eigen3)
  file(MAKE_DIRECTORY ${BINARY}/include/kronecker)
  execute_process(COMMAND ${PYTHON} ${SOURCE}/scripts/amalgamate OUTPUT_FILE ${BINARY}/include/kronecker/kronecker.hpp
    COMMAND_ERROR_IS_FATAL ANY)
  set(command ${COMPILER} -std=c++20 -I${BINARY}/include ${SOURCE}/examples/quickstart.cpp)
endif()

if(package)
  execute_process(COMMAND pkg-config --cflags --libs ${static} ${package} OUTPUT_VARIABLE flags
    OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  execute_process(COMMAND ${command} ${flags} -o ${BINARY}/consumer COMMAND_ERROR_IS_FATAL ANY)
elseif(ROUTE STREQUAL "c-find_package")
  execute_process(COMMAND ${CMAKE_COMMAND} -S ${consumer}/c -B ${BINARY} -G ${GENERATOR} -DCMAKE_PREFIX_PATH=${prefix}
    -DCMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON -DCMAKE_C_COMPILER=${C_COMPILER} COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${CMAKE_COMMAND} --build ${BINARY} COMMAND_ERROR_IS_FATAL ANY)
else()
  execute_process(COMMAND ${CMAKE_COMMAND} -S ${consumer} -B ${BINARY} -G ${GENERATOR} -DROUTE=${ROUTE}
    -DKRONECKER_SOURCE=${SOURCE} -DKRONECKER_ARCHIVE=${ARCHIVE} -DCMAKE_PREFIX_PATH=${prefix} -DEigen3_DIR=${EIGEN}
    -DCMAKE_CXX_COMPILER=${COMPILER} -DCMAKE_BUILD_TYPE=Debug COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${CMAKE_COMMAND} --build ${BINARY} COMMAND_ERROR_IS_FATAL ANY)
endif()

execute_process(COMMAND ${BINARY}/consumer ${SOURCE}/tests/golden/saved.kron OUTPUT_VARIABLE output
  COMMAND_ERROR_IS_FATAL ANY)
if(ROUTE STREQUAL "single-header")
  execute_process(COMMAND ${QUICKSTART} OUTPUT_VARIABLE expected COMMAND_ERROR_IS_FATAL ANY)
  if(NOT output STREQUAL expected)
    message(FATAL_ERROR "with the single header: ${output}with the folder of headers: ${expected}")
  endif()
endif()
