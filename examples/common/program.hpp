#pragma once

/// How the command-line programs here run and end: one line on standard error and exit code 2 if something is
/// wrong, 0 if whoever reads the output has seen enough.

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <new>
#include <stdexcept>
#include <system_error>

#if __has_include(<unistd.h>)
#include <fcntl.h>
#include <unistd.h>
#endif

namespace examples {

/// Opens what of standard input, output and error the program was started without. Else the next file to be
/// opened would take their place, and what is printed would end in it. Printing to such an output fails.
inline void hold_standard_streams() {
#if __has_include(<unistd.h>)
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(stream, F_GETFD) == -1 && ::open("/dev/null", O_RDONLY) != stream) std::_Exit(2);
#endif
}

/// Throws std::runtime_error if something that was printed did not arrive.
inline void finish_output() {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  throw std::runtime_error("cannot write to standard output: " + std::generic_category().message(errno));
}

/// Parses the command line and does the `work`, which returns the exit code.
inline int run_program(CLI::App& program, int argc, char** argv, const std::function<int()>& work) {
#ifdef SIGPIPE
  std::signal(SIGPIPE, [](int) { std::_Exit(0); });  // whoever reads the output has seen enough
#endif
  constexpr int bad_input = 2;
  hold_standard_streams();
  try {
    int code = 0;
    try {
      program.parse(argc, argv);
      code = work();
    } catch (const CLI::Success& request) {
      code = program.exit(request);
    }
    finish_output();
    return code;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "{}: there is not enough memory\n", program.get_name());
  } catch (const std::system_error& error) {
    const char* what = std::ferror(stdout) != 0 ? "cannot write to standard output: " : "";
    fmt::print(stderr, "{}: {}{}\n", program.get_name(), what,
               *what != '\0' ? error.code().message() : error.what());
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", program.get_name(), error.what());
  }
  return bad_input;
}

}  // namespace examples
