/// kron: vocabularies, saved embeddings and checkpoints on the command line. `kron --help` lists the
/// commands.

#include "audit.hpp"
#include "inspect.hpp"
#include "program.hpp"
#include "similarity.hpp"
#include "weights.hpp"

namespace {

/// Runs `first` or one of `others`, whichever was asked for.
template <class First, class... Others>
int run_parsed(const First& first, const Others&... others) {
  if (first.command()->parsed()) return first.run();
  if constexpr (sizeof...(others) > 0) return run_parsed(others...);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App tool("Kronecker embeddings on the command line: exit code 0, 1 if a check fails, 2 for bad input.",
                "kron");
  tool.require_subcommand(1);
  tool.set_version_flag("--version", fmt::format("kron {}.{}.{}", KRONECKER_VERSION_MAJOR,
                                                 KRONECKER_VERSION_MINOR, KRONECKER_VERSION_PATCH));
  const kron::Inspect inspect(tool);
  const kron::Audit audit(tool);
  const kron::NearestTokens neighbors(tool);
  const kron::Compare compare(tool);
  const kron::Embed embed(tool);
  const kron::Fit fit(tool);
  const kron::Import import(tool);
  const kron::Export export_(tool);
  return examples::run_program(tool, argc, argv, [&] {
    return run_parsed(inspect, audit, neighbors, compare, embed, fit, import, export_);
  });
}
