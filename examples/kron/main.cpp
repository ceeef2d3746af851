/// kron: vocabularies, saved embeddings and checkpoints on the command line. `kron help` lists the commands.

#include "command.hpp"
#include "options.hpp"
#include "program.hpp"
#include "utf8_arguments.hpp"

#include <kronecker/shown_text.hpp>
#include <kronecker/version.hpp>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace {

/// The commands' names, in their order.
std::vector<std::string> command_names(const CLI::App& tool) {
  std::vector<std::string> names;
  for (const CLI::App* command : tool.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

/// Says what `name`, which is none of the commands, may have been meant for.
void refuse_command(const std::string& name, const std::vector<std::string>& names) {
  const std::string nearest = examples::nearest_word(name, names);
  std::string list;
  for (const std::string& known : names) list += (list.empty() ? "" : ", ") + known;
  fmt::print(stderr, "kron: there is no command {}{}; the commands are {}\n", kronecker::quoted_text(name),
             nearest.empty() ? "" : fmt::format(": is it {}?", nearest), list);
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int bad_input = 2;
  CLI::App tool(
      "Kronecker embeddings on the command line: what a tokenizer's tokens are, what the codes of their "
      "bytes tell apart, and trained tables and projections as saved embeddings.",
      "kron");
  tool.require_subcommand(0, 1);  // an argument may have the name of another command
  tool.set_version_flag("--version", fmt::format("kron {}.{}.{}", KRONECKER_VERSION_MAJOR,
                                                 KRONECKER_VERSION_MINOR, KRONECKER_VERSION_PATCH));
  tool.footer(
      "kron help COMMAND explains a command. Reports go to standard output (for\n"
      "programs with --json), everything else to standard error. The exit code is 0,\n"
      "1 if a check fails, 2 for bad input.");
  const std::vector<kron::Command> commands{
      kron::add_inspect(tool), kron::add_tokens(tool), kron::add_audit(tool), kron::add_neighbors(tool),
      kron::add_compare(tool), kron::add_probe(tool),  kron::add_fit(tool),   kron::add_import(tool),
      kron::add_embed(tool),   kron::add_decode(tool), kron::add_export(tool)};

  // `kron help COMMAND` is `kron COMMAND --help`; without a command, or of itself, it lists them.
  std::string help_option = "--help";
  std::vector<std::string> words = kron::utf8_arguments(argc, argv);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  const bool asks_for_help = words.size() > 1 && words[1] == "help";
  if (asks_for_help) {
    const bool is_of_command = words.size() > 2 && words[2] != "help";
    arguments.resize(1);
    if (is_of_command) arguments.push_back(words[2].data());
    arguments.push_back(help_option.data());
  }
  const bool is_bare = words.size() == 1;
  if (is_bare) arguments.push_back(help_option.data());

  const std::vector<std::string> names = command_names(tool);
  if (const std::string first = arguments.size() > 1 ? arguments[1] : "-";
      !first.starts_with('-') && std::find(names.begin(), names.end(), first) == names.end()) {
    refuse_command(first, names);
    return bad_input;
  }
  const int code = examples::run_program(tool, static_cast<int>(arguments.size()), arguments.data(), [&] {
    for (const kron::Command& command : commands)
      if (*command.parser) return command.run();
    throw std::invalid_argument("no command is given: kron help lists them");
  });
  return is_bare && code == 0 ? bad_input : code;
}
