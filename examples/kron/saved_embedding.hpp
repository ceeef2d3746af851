#pragma once

/// Saved embeddings of every size and row type.

#include "rounding_report.hpp"

#include <kronecker/files/model.hpp>

#include <CLI/CLI.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <variant>

namespace kron {

/// A saved embedding with rows of any type. What does not depend on that type is told without it, and few
/// functions are compiled for each.
class SavedEmbedding {
 public:
  explicit SavedEmbedding(const std::filesystem::path& path) : embedding_(kronecker::load_any(path)) {}

  /// What the file format calls the type of the rows.
  std::string_view row_type() const {
    constexpr std::string_view names[] = {"F32", "BF16", "F16", "I8"};
    return names[embedding_.index()];
  }
  /// Calls `use` with the embedding as it is.
  template <class Use>
  auto visit(Use use) const {
    return std::visit(use, embedding_);
  }

  kronecker::DynamicEncoder encoder() const {
    return visit([](const auto& embedding) { return embedding.encoder(); });
  }
  kronecker::TokenBytes tokens() const {
    return visit([](const auto& embedding) { return embedding.token_bytes(); });
  }
  int d_model() const {
    return visit([](const auto& embedding) { return embedding.d_model(); });
  }
  kronecker::SharedArray<float> weights() const {
    const auto projection = visit([](const auto& embedding) { return embedding.projection(); });
    return projection.weights();
  }

  /// Calls `use` with an embedding that has the same bits and rows of floats or int8: rows of 16 bits become
  /// floats. So the kernels are compiled for two types of rows, not four.
  template <class Use>
  auto visit_widened(Use use) const {
    using Int8Embedding = kronecker::KroneckerEmbedding<std::int8_t>;
    if (const auto* embedding = std::get_if<Int8Embedding>(&embedding_)) return use(*embedding);
    return use(visit([](const auto& embedding) { return embedding.template cast<float>(); }));
  }

 private:
  kronecker::AnyEmbedding embedding_;
};

/// The type in which the rows of an embedding are saved, as an option.
struct RowsOption {
  std::string type = "F32";

  void add(CLI::App& command) {
    command.add_option("--rows", type, "How the rows are stored: F32, BF16, F16 or I8")
        ->type_name("TYPE")
        ->check(CLI::IsMember({"F32", "BF16", "F16", "I8"}))
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
