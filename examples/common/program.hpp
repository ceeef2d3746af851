#pragma once

/// How the command-line programs here run and end: one line on standard error and exit code 2 if something is
/// wrong, 0 if whoever reads the output has seen enough. And how they explain themselves.

#include "options.hpp"
#include "terminal.hpp"

#include <kronecker/error.hpp>
#include <kronecker/shown_text.hpp>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#if __has_include(<unistd.h>) && !defined(_WIN32)
#include <fcntl.h>
#include <unistd.h>
#endif

namespace examples {

/// Opens what of standard input, output and error the program was started without. Else the next file to be
/// opened would take their place, and what is printed would end in it. Printing to such an output fails.
inline void hold_standard_streams() {
#if __has_include(<unistd.h>) && !defined(_WIN32)
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

/// Explains a program or a command: how it is called, what its arguments and options are, and, from the
/// parser's footer, examples.
class Help : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode) const override {
    const auto options = app->get_options({});
    std::string usage = "usage: " + name, arguments, flags, commands;
    bool has_optional = false;
    for (const CLI::Option* option : options) {
      (option->get_positional() ? arguments : flags) += entry(label(*option), description(*option));
      if (option->get_positional() || option->get_required())
        usage += option->get_required() ? " " + label(*option) : " [" + label(*option) + "]";
      else
        has_optional = true;
    }
    for (const CLI::App* command : app->get_subcommands({}))
      commands += entry(command->get_name(), command->get_description());
    usage += !commands.empty() ? " COMMAND ..." : has_optional ? " [options]" : "";
    std::string help =
        wrapped(app->get_description(), width(), 0) + "\n\n" + wrapped(usage, width(), 0) + "\n";
    if (!arguments.empty()) help += "\n" + arguments;
    if (!commands.empty()) help += "\ncommands:\n" + commands;
    if (!flags.empty()) help += "\noptions:\n" + flags;
    if (!app->get_footer().empty()) help += "\n" + app->get_footer() + "\n";
    return help;
  }

 private:
  static std::size_t width() { return std::min<std::size_t>(output_width(), 100); }

  /// VOCABULARY, --output FILE, or -h, --help
  static std::string label(const CLI::Option& option) {
    if (option.get_positional())
      return option.get_name(/*positional=*/true) + (option.get_items_expected_max() > 1 ? "..." : "");
    std::string label;
    for (const std::string& letter : option.get_snames()) label += "-" + letter + ", ";
    for (const std::string& word : option.get_lnames()) label += "--" + word + ", ";
    label.resize(label.size() - 2);
    const std::string type = option.get_type_name();  // and, after a colon, what its values are checked for
    if (option.get_items_expected_max() > 0) label += " " + type.substr(0, type.find(':'));
    return label;
  }

  static std::string description(const CLI::Option& option) {
    if (option.check_lname("help")) return "Explain this";
    if (option.check_lname("version")) return "Show the version";
    const std::string& text = option.get_description();
    return option.get_default_str().empty() ? text
                                            : fmt::format("{} (else {})", text, option.get_default_str());
  }

  static std::string entry(const std::string& label, const std::string& description) {
    constexpr std::size_t indent = 22;
    const std::string front = "  " + label + (label.size() + 4 > indent ? "\n" : "");
    const std::string padding(front.ends_with('\n') ? indent : indent - front.size(), ' ');
    return front + padding + wrapped(description, width(), indent) + "\n";
  }
};

/// What is wrong with the command line, without the parser's own words.
inline std::string parse_message(const CLI::App& program, const CLI::ParseError& error) {
  const CLI::App* app = &program;
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  const std::string what = error.what();
  const auto before = [&](std::string_view end) { return what.substr(0, what.find(end)); };
  const auto after = [&](std::string_view start) { return what.substr(what.find(start) + start.size()); };
  if (dynamic_cast<const CLI::RequiredError*>(&error)) {
    if (what.starts_with("A subcommand")) return "COMMAND is missing";
    const CLI::Option* option = app->get_option_no_throw(before(" is required"));
    const bool is_argument = option != nullptr && option->get_positional();
    return (is_argument ? option->get_name(/*positional=*/true) : before(" is required")) + " is missing";
  }
  if (dynamic_cast<const CLI::ExcludesError*>(&error))
    return fmt::format("give {} or {}, not both", before(" excludes "), after(" excludes "));
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) && what.ends_with(" missing"))
    return before(":") + " needs a value";
  if (!dynamic_cast<const CLI::ExtrasError*>(&error)) return what;

  const std::vector<std::string> unknown = program.remaining(/*recurse=*/true);
  if (unknown.empty()) return what;
  if (!unknown.front().starts_with('-'))
    return "one argument too many: " + kronecker::quoted_text(unknown.front());
  std::vector<std::string> known;
  for (const CLI::Option* option : app->get_options({}))
    for (const std::string& word : option->get_lnames()) known.push_back("--" + word);
  const std::string nearest = nearest_word(unknown.front(), known);
  if (nearest == unknown.front()) return fmt::format("{} goes behind {}", nearest, app->get_name());
  return fmt::format("there is no option {}{}", unknown.front(),
                     nearest.empty() ? "" : fmt::format("; is it {}?", nearest));
}

/// Parses the command line and does the `work`, which returns the exit code.
inline int run_program(CLI::App& program, int argc, char** argv, const std::function<int()>& work) {
#ifdef SIGPIPE
  std::signal(SIGPIPE, [](int) { std::_Exit(0); });  // whoever reads the output has seen enough
#endif
  constexpr int bad_input = 2;
  hold_standard_streams();
  const auto help = std::make_shared<Help>();
  program.formatter(help);
  for (CLI::App* command : program.get_subcommands([](CLI::App*) { return true; })) command->formatter(help);
  const auto say = [&](std::string_view message) {
    fmt::print(stderr, "{}: {}\n", program.get_name(), message);
  };
  // Texts in the library's messages are escaped already; those of the parser and the system are not.
  const auto say_escaped = [&](std::string_view message) {
    std::string shown;
    kronecker::detail::append_shown(shown, message, "");
    say(shown);
  };
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
  } catch (const CLI::ParseError& error) {
    say_escaped(parse_message(program, error));
  } catch (const std::bad_alloc&) {
    say("there is not enough memory");
  } catch (const std::system_error& error) {
    const bool is_output = std::ferror(stdout) != 0;
    say_escaped(is_output ? "cannot write to standard output: " + error.code().message() : error.what());
  } catch (const kronecker::FileError& error) {
    say(error.what());
  } catch (const std::exception& error) {
    say_escaped(error.what());
  }
  return bad_input;
}

}  // namespace examples
