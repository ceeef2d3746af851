#pragma once

/// Saved embeddings of every size and row type.

#include <kronecker/files/model.hpp>

#include <CLI/CLI.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace kron {

/// What the file format calls the type of an embedding's rows.
template <class Encoder, class Scalar>
constexpr std::string_view row_type(const kronecker::KroneckerEmbedding<Encoder, Scalar>&) {
  switch (kronecker::ProjectionRows<Scalar>::type) {
    case kronecker::kernels::RowType::bfloat16:
      return "BF16";
    case kronecker::kernels::RowType::float16:
      return "F16";
    case kronecker::kernels::RowType::int8:
      return "I8";
    default:
      return "F32";
  }
}

/// The type in which the rows of an embedding are saved, as an option.
struct RowsOption {
  std::string type = "F32";

  void add(CLI::App& command) {
    command.add_option("--rows", type, "How the rows are stored: F32, BF16, F16 or I8")
        ->type_name("TYPE")
        ->check(CLI::IsMember({"F32", "BF16", "F16", "I8"}))
        ->capture_default_str();
  }

  template <class Encoder>
  void save(const std::string& path, const kronecker::KroneckerEmbedding<Encoder>& embedding) const {
    if (type == "F32") kronecker::save(path, embedding);
    if (type == "BF16") kronecker::save(path, embedding.template cast<Eigen::bfloat16>());
    if (type == "F16") kronecker::save(path, embedding.template cast<Eigen::half>());
    if (type == "I8") kronecker::save(path, embedding.template cast<std::int8_t>());
  }
};

}  // namespace kron
