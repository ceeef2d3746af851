#pragma once

/// How the rows of an embedding are saved.

#include "options.hpp"
#include "rounding_report.hpp"

#include <kronecker/files/model.hpp>

#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>

namespace kron {

/// The type in which the rows of an embedding are saved, as an option.
struct RowsOption {
  std::string type = "F32";

  void add(CLI::App& command) {
    command.add_option("--rows", type, "How the rows are stored: F32, BF16, F16 or I8")
        ->type_name("TYPE")
        ->check(examples::one_of({"F32", "BF16", "F16", "I8"}))
        ->capture_default_str();
  }

  void save(const std::string& path, const kronecker::KroneckerEmbedding<float>& embedding) const {
    if (type == "F32") kronecker::save(path, embedding);
    if (type == "BF16") kronecker::save(path, embedding.cast<Eigen::bfloat16>());
    if (type == "F16") kronecker::save(path, embedding.cast<Eigen::half>());
    if (type != "I8") return;
    const auto rounded = embedding.cast<std::int8_t>();
    kronecker::save(path, rounded);
    report_rounding(embedding, rounded);
  }
};

}  // namespace kron
