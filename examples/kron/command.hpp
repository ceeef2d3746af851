#pragma once

/// The commands of kron: each adds itself to the command line, and runs when it was asked for.

#include <functional>

namespace CLI {
class App;
}

namespace kron {

struct Command {
  const CLI::App* parser;
  std::function<int()> run;  ///< Returns the exit code.
};

// In the order in which they are listed.
Command add_inspect(CLI::App& tool);
Command add_tokens(CLI::App& tool);
Command add_audit(CLI::App& tool);
Command add_neighbors(CLI::App& tool);
Command add_compare(CLI::App& tool);
Command add_probe(CLI::App& tool);
Command add_fit(CLI::App& tool);
Command add_import(CLI::App& tool);
Command add_embed(CLI::App& tool);
Command add_decode(CLI::App& tool);
Command add_export(CLI::App& tool);

}  // namespace kron
