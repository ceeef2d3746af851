#pragma once

/// What a Kronecker embedding costs next to the table that it replaces, in parameters and in bytes:
/// arithmetic on sizes, before there is a vocabulary or a weight.
///
/// A table has V * d_model parameters, a projection D * d_model with D = char_dim * pos_dim, whatever V is
/// (arXiv 2605.29459, section 3), and each row of its own that a token has d_model more. What that saves on a
/// whole model depends on its output head. A head of its own has V * d_model parameters in either model. A
/// table that is *tied*, and so serves as the head as well, cannot be taken away: a model that replaces it by
/// a Kronecker input and a head of its own keeps V * d_model parameters for that head and has D * d_model
/// more than before. A Kronecker embedding that is the head too has none of these, and, to be as good as a
/// head of its own, what corrects it: V * (1 + k) + k * d_model.

#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>

#include <cstdint>
#include <limits>
#include <optional>

namespace KRONECKER_NAMESPACE {

/// Where a model's output head has its weights from.
enum class OutputHead {
  untied,     ///< V * d_model parameters of its own.
  tied,       ///< The weights of the input embedding.
  corrected,  ///< The same, and a bias and `head_rank` factors of each token's own (head_correction.hpp).
};

/// A model with a table, and the Kronecker embedding that it is compared with.
struct EmbeddingSizes {
  TokenId vocab_size;                              ///< Number of tokens, V.
  int d_model;                                     ///< Length of an embedding.
  int pos_dim = 32;                                ///< Bytes kept of a token.
  int char_dim = 256;                              ///< Size of the byte alphabet.
  OutputHead table_head = OutputHead::untied;      ///< Head of the model with the table.
  OutputHead kronecker_head = OutputHead::untied;  ///< Head of the model with the Kronecker embedding.
  int bytes_per_parameter = 4;                     ///< 4 for float32, 2 for bfloat16, 1 for int8.
  std::uint64_t model_parameters = 0;  ///< Of the whole model with the table, head included; 0: not known.
  TokenId own_rows = 0;                ///< Tokens that have rows of their own.
  int head_rank = 0;                   ///< Factors of each token, k, of heads that are corrected.
};

/// One quantity with a table and with a Kronecker embedding.
struct Comparison {
  std::uint64_t table;      ///< With the table.
  std::uint64_t kronecker;  ///< With the Kronecker embedding.

  /// What the Kronecker embedding saves, in percent of the table's; negative if it costs more.
  double saved_percent() const noexcept {
    return 100 * (1 - static_cast<double>(kronecker) / static_cast<double>(table));
  }
};

/// What a Kronecker embedding costs next to a table.
struct Accounting {
  Comparison input_parameters;      ///< Of the input embedding alone: the figure that is usually quoted.
  Comparison input_memory;          ///< The same in bytes, with the token bytes of the Kronecker embedding.
  Comparison parameters_with_head;  ///< Of input embedding and output head; tied weights count once.
  Comparison memory_with_head;      ///< The same in bytes, with the token bytes.
  std::optional<Comparison> model_parameters;  ///< Of the whole model, if its size was given.
  std::uint64_t
      token_bytes_memory;  ///< The part of `input_memory` that grows with V: V * (pos_dim + 1) bytes.
};

/// Compares a Kronecker embedding with a table. Throws std::invalid_argument if a size is out of its range,
/// if the products do not fit into 64 bits, or if the model has fewer parameters than its table and head.
/// O(1).
inline Accounting account(const EmbeddingSizes& sizes) {
  const auto check_positive = [](const char* name, int value) {
    if (value < 1) detail::fail<std::invalid_argument>(name, " ", value, " is not positive");
  };
  check_positive("vocab_size", sizes.vocab_size);
  check_positive("d_model", sizes.d_model);
  check_positive("bytes_per_parameter", sizes.bytes_per_parameter);
  const auto code_dim =
      static_cast<std::uint64_t>(KroneckerEncoder(sizes.char_dim, sizes.pos_dim).code_dim());
  const auto vocab_size = static_cast<std::uint64_t>(sizes.vocab_size);
  const auto d_model = static_cast<std::uint64_t>(sizes.d_model);
  const auto bytes_per_parameter = static_cast<std::uint64_t>(sizes.bytes_per_parameter);
  if (sizes.head_rank < 0) detail::fail<std::invalid_argument>("head_rank ", sizes.head_rank, " is negative");
  const auto rank = static_cast<std::uint64_t>(sizes.head_rank);
  const std::uint64_t widest = 2 * vocab_size + code_dim + 1 + rank;
  if ((std::numeric_limits<std::uint64_t>::max)() / 2 / (d_model + rank) / bytes_per_parameter < widest)
    detail::fail<std::invalid_argument>("an embedding of ", vocab_size, " x ", d_model, " parameters of ",
                                        bytes_per_parameter, " bytes is too large to count");

  if (sizes.own_rows < 0 || sizes.own_rows > sizes.vocab_size)
    detail::fail<std::invalid_argument>("own_rows ", sizes.own_rows, " is outside 0 to vocab_size ",
                                        sizes.vocab_size);
  const Comparison input{vocab_size * d_model,
                         (code_dim + static_cast<std::uint64_t>(sizes.own_rows)) * d_model};
  const std::uint64_t token_bytes = vocab_size * (static_cast<std::uint64_t>(sizes.pos_dim) + 1);
  const auto head = [&](OutputHead kind) -> std::uint64_t {
    if (kind == OutputHead::untied) return input.table;
    return kind == OutputHead::tied ? 0 : vocab_size * (1 + rank) + rank * d_model;
  };
  const Comparison with_head{input.table + head(sizes.table_head),
                             input.kronecker + head(sizes.kronecker_head)};

  Accounting accounting{.input_parameters = input,
                        .input_memory = {input.table * bytes_per_parameter,
                                         input.kronecker * bytes_per_parameter + token_bytes},
                        .parameters_with_head = with_head,
                        .memory_with_head = {with_head.table * bytes_per_parameter,
                                             with_head.kronecker * bytes_per_parameter + token_bytes},
                        .model_parameters = std::nullopt,
                        .token_bytes_memory = token_bytes};
  if (sizes.model_parameters == 0) return accounting;
  if (sizes.model_parameters < with_head.table)
    detail::fail<std::invalid_argument>("a model of ", sizes.model_parameters,
                                        " parameters is smaller than its table and output head of ",
                                        with_head.table);
  const std::uint64_t other_parameters = sizes.model_parameters - with_head.table;
  if (other_parameters > (std::numeric_limits<std::uint64_t>::max)() - with_head.kronecker)
    detail::fail<std::invalid_argument>("a model of ", sizes.model_parameters,
                                        " parameters is too large to count");
  accounting.model_parameters = Comparison{sizes.model_parameters, other_parameters + with_head.kronecker};
  return accounting;
}

}  // namespace KRONECKER_NAMESPACE
