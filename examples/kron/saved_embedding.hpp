#pragma once

/// Saved embeddings of every size and row type.

#include <kronecker/files/file_kind.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/files/model.hpp>
#include <kronecker/files/safetensors.hpp>
#include <kronecker/vocabulary.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

namespace kron {

/// The kind of the file at `path`, told by its first bytes; `unknown` if it is not a regular file, which can
/// be read but once.
inline kronecker::FileKind kind_of_file(const std::filesystem::path& path) {
  std::error_code ignored;
  const bool is_other =
      std::filesystem::exists(path, ignored) && !std::filesystem::is_regular_file(path, ignored);
  if (is_other || path == "-") return kronecker::FileKind::unknown;
  const kronecker::MappedFile file(path);
  return kronecker::kind_of_content(file.text());
}

/// Whether the file at `path` is a saved embedding, and not another checkpoint or no checkpoint at all.
inline bool is_saved_embedding(const std::filesystem::path& path) {
  if (kind_of_file(path) != kronecker::FileKind::safetensors) return false;
  const kronecker::SafetensorsFile file(path);
  return file.metadata().contains("format_version") && file.find("projection.rows") != nullptr;
}

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
  /// The bytes that it has of its tokens, which may be cut; none is known to be special.
  kronecker::Vocabulary vocabulary() const {
    const kronecker::TokenBytes token_bytes = tokens();
    std::vector<std::string> bytes;
    for (std::size_t id = 0; id < token_bytes.lengths().size(); ++id)
      bytes.emplace_back(token_bytes.bytes_of(id));
    return kronecker::Vocabulary(std::move(bytes));
  }
  int d_model() const {
    return visit([](const auto& embedding) { return embedding.d_model(); });
  }
  std::size_t own_row_count() const {
    return visit(
        [](const auto& embedding) { return embedding.own_rows() ? embedding.own_rows()->size() : 0; });
  }
  bool has_norm() const {
    return visit([](const auto& embedding) { return embedding.norm().has_value(); });
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

}  // namespace kron
