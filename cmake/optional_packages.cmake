# The packages that some programs of this project take and the rest does without.

# kronecker_find_optional(PACKAGE [AFTER PACKAGE...] [SETS VARIABLE...]) finds a package, and sets PACKAGE_FOUND and those
# of its variables that are named. AFTER are packages that it wants to be found before it.
#
# A package's own CMake file may end the configuration: LibTorch's does if it was built for CUDA and there is no CUDA.
# Nothing catches that, so the file is first tried in a project of its own; a package that ends that one is left out.
function(kronecker_find_optional package)
  cmake_parse_arguments(PARSE_ARGV 1 optional "" "" "AFTER;SETS")
  set(${package}_FOUND FALSE PARENT_SCOPE)

  # Where it is: no version is this one, so its file is looked for and not read, even if the package is required.
  set(chosen_folder "${${package}_DIR}")
  set(is_required "${CMAKE_REQUIRE_FIND_PACKAGE_${package}}")
  set(CMAKE_REQUIRE_FIND_PACKAGE_${package} OFF)
  find_package(${package} 99999 EXACT CONFIG QUIET)
  set(CMAKE_REQUIRE_FIND_PACKAGE_${package} "${is_required}")
  set(${package}_DIR "${chosen_folder}" CACHE PATH "The folder of ${package}'s CMake file" FORCE)

  if(${package}_CONSIDERED_CONFIGS)
    list(GET ${package}_CONSIDERED_CONFIGS 0 file)
    if(NOT KRONECKER_USABLE_${package} STREQUAL file)
      kronecker_try_package(error ${optional_AFTER} ${package})
      if(error)
        cmake_path(GET file PARENT_PATH folder)
        set(found "kronecker: ${package} was found in ${folder} but cannot be used (${error})")
        if(is_required)
          message(FATAL_ERROR "${found}")
        endif()
        message(STATUS "${found}: left out")
        return()
      endif()
      set(KRONECKER_USABLE_${package} ${file} CACHE INTERNAL "The CMake file of ${package} that was tried")
    endif()
  endif()

  find_package(${package} QUIET)
  foreach(variable ${package}_FOUND ${optional_SETS})
    set(${variable} "${${variable}}" PARENT_SCOPE)
  endforeach()
endfunction()

# Finds the packages in another project with the settings of this one. Sets `error` to the first paragraph of what ends it.
function(kronecker_try_package error)
  list(GET ARGN -1 package)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/optional/${package})
  file(REMOVE_RECURSE ${folder})
  list(TRANSFORM ARGN REPLACE "(.+)" "find_package(\\1 QUIET)\n" OUTPUT_VARIABLE finds)
  string(JOIN "" finds ${finds})
  file(WRITE ${folder}/CMakeLists.txt "cmake_minimum_required(VERSION 3.21)\nproject(try LANGUAGES CXX)\n${finds}")

  set(settings "")
  get_cmake_property(names CACHE_VARIABLES)
  foreach(name IN LISTS names)
    get_property(type CACHE ${name} PROPERTY TYPE)
    if(NOT type MATCHES "INTERNAL|STATIC")
      string(APPEND settings "set(${name} [==[$CACHE{${name}}]==] CACHE STRING \"\")\n")
    endif()
  endforeach()
  foreach(name CMAKE_PREFIX_PATH CMAKE_MODULE_PATH)
    string(APPEND settings "set(${name} [==[${${name}}]==])\n")
  endforeach()
  file(WRITE ${folder}/settings.cmake "${settings}")

  # What is known of the compiler is known there too: looking again would take a second.
  if(EXISTS ${CMAKE_BINARY_DIR}/CMakeFiles/${CMAKE_VERSION})
    file(COPY ${CMAKE_BINARY_DIR}/CMakeFiles/${CMAKE_VERSION} DESTINATION ${folder}/build/CMakeFiles)
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} -G ${CMAKE_GENERATOR} -C settings.cmake -S . -B build
    WORKING_DIRECTORY ${folder} RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE text)
  set(${error} "" PARENT_SCOPE)
  if(NOT status EQUAL 0)
    if(text MATCHES "CMake Error[^\n]*:\n +([^\n]+(\n +[^\n]+)*)")
      string(REGEX REPLACE "\n +" " " text "${CMAKE_MATCH_1}")
      set(${error} "${text}" PARENT_SCOPE)
    else()
      set(${error} "its CMake file fails" PARENT_SCOPE)
    endif()
  endif()
endfunction()

kronecker_find_optional(Protobuf)
kronecker_find_optional(ONNX AFTER Protobuf)
# llama.cpp brings ggml. It is not in Debian: tell where it is installed by CMAKE_PREFIX_PATH.
kronecker_find_optional(llama)
# LibTorch's headers are only tried with g++; Debian's cannot be compiled as C++20 with another compiler.
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  kronecker_find_optional(Torch SETS TORCH_LIBRARIES TORCH_INCLUDE_DIRS Torch_VERSION)
endif()
