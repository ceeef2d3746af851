# Configures this project where optional packages are found whose CMake files end the configuration: it names each and
# goes on. One that is required ends it if it is broken, and only then.
#   cmake -DSOURCE=<this project> -DBINARY=... -DCOMPILER=... -DCOMPILER_ID=... -DGENERATOR=... -P configure.cmake
file(REMOVE_RECURSE ${BINARY})
set(packages ONNX llama)
if(COMPILER_ID STREQUAL GNU)
  list(APPEND packages Torch)
endif()
set(folder ${BINARY}/packages/lib/cmake)
file(WRITE ${folder}/ONNX/ONNXConfig.cmake "include(\${CMAKE_CURRENT_LIST_DIR}/not_there.cmake)\n")
file(WRITE ${folder}/llama/llama-config.cmake "find_package(NotThere REQUIRED)\n")
file(WRITE ${folder}/Torch/TorchConfig.cmake [[
message(FATAL_ERROR "Your installed Caffe2 version uses CUDA but I cannot find the CUDA "
  "libraries. Please set the proper CUDA prefixes and / or install CUDA.")
]])

macro(configure)
  execute_process(COMMAND ${CMAKE_COMMAND} -S ${SOURCE} -B ${BINARY}/build -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER}
    -DCMAKE_PREFIX_PATH=${BINARY}/packages -DKRONECKER_TEST_OWN_FLAGS=OFF ${ARGN}
    OUTPUT_VARIABLE text ERROR_VARIABLE text RESULT_VARIABLE status)
endmacro()

foreach(run first second)  # what was found out is kept, but not that a package was broken
  configure()
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "the ${run} configuration ended with ${status}:\n${text}")
  endif()
  foreach(package IN LISTS packages)
    if(NOT text MATCHES "kronecker: ${package} was found in ${folder}/${package} but cannot be used \\([^\n]+\\): left out\n")
      message(FATAL_ERROR "${package} is not named:\n${text}")
    endif()
  endforeach()
endforeach()
if(COMPILER_ID STREQUAL GNU AND NOT text MATCHES "\\(Your installed Caffe2 version uses CUDA but I cannot find the CUDA libraries")
  message(FATAL_ERROR "what is wrong with LibTorch is not said:\n${text}")
endif()

configure(-DCMAKE_REQUIRE_FIND_PACKAGE_llama=ON)
if(status EQUAL 0 OR NOT text MATCHES "CMake Error[^\n]*\n +kronecker: llama was found in")
  message(FATAL_ERROR "a required package that is broken ended with ${status}:\n${text}")
endif()
file(WRITE ${folder}/llama/llama-config.cmake [[
add_library(llama INTERFACE)
add_library(ggml::ggml INTERFACE IMPORTED)
add_library(ggml::ggml-cpu INTERFACE IMPORTED)
add_library(ggml::ggml-base INTERFACE IMPORTED)
]])
configure(-DCMAKE_REQUIRE_FIND_PACKAGE_llama=ON)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "a required package that is found ended with ${status}:\n${text}")
endif()
