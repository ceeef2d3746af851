#pragma once

/// What corrects an output head, in the model file of its embedding (model.hpp), as the tensors
///
///     head.bias            F32 (V)
///     head.token_factors   F32 (V, k)         if k is not 0
///     head.state_factors   F32 (k, d_model)   if k is not 0

#include <kronecker/error.hpp>
#include <kronecker/files/little_endian.hpp>
#include <kronecker/files/model_metadata.hpp>
#include <kronecker/files/safetensors.hpp>
#include <kronecker/head_correction.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/shared_array.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <limits>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace KRONECKER_NAMESPACE {
namespace detail {

/// Adds the correction to what is written.
inline void add_head_correction(std::vector<TensorToWrite>& tensors, const HeadCorrection& correction) {
  const auto writer = [](std::span<const float> values) {
    return [values](std::ostream& file) { write_little_endian(file, values); };
  };
  const HeadCorrectionSizes& sizes = correction.sizes();
  tensors.push_back({"head.bias", "F32", {sizes.tokens()}, writer(correction.bias())});
  if (sizes.rank == 0) return;
  tensors.push_back(
      {"head.token_factors", "F32", {sizes.tokens(), sizes.factors()}, writer(correction.token_factors())});
  tensors.push_back(
      {"head.state_factors", "F32", {sizes.factors(), sizes.width()}, writer(correction.state_factors())});
}

/// The correction of a model file, for its vocabulary and d_model.
inline HeadCorrection read_head_correction(const SafetensorsFile& file) {
  const std::size_t vocab_size = model_tensor(file, "token_lengths", 1).count;
  const std::size_t d_model = model_tensor(file, "projection.rows", 2).shape[1];
  const TensorInfo& bias = model_tensor(file, "head.bias", 1);
  constexpr std::size_t most = (std::numeric_limits<std::int32_t>::max)();
  if (bias.count != vocab_size || vocab_size < 1 || vocab_size > most || d_model < 1 || d_model > most)
    fail<FileError>(file.path(), ": 'head.bias' has ", bias.count, " values for ", vocab_size,
                    " tokens and d_model ", d_model);
  HeadCorrectionSizes sizes{static_cast<TokenId>(vocab_size), static_cast<int>(d_model), 0};
  SharedArray<float> token_factors, state_factors;
  if (file.find("head.token_factors") != nullptr || file.find("head.state_factors") != nullptr) {
    const TensorInfo& of_tokens = model_tensor(file, "head.token_factors", 2);
    const TensorInfo& of_states = model_tensor(file, "head.state_factors", 2);
    const std::size_t rank = of_states.shape[0];
    if (rank < 1 || rank > most || of_tokens.shape[0] != vocab_size || of_tokens.shape[1] != rank ||
        of_states.shape[1] != d_model)
      fail<FileError>(file.path(), ": 'head.token_factors' of ", of_tokens.shape[0], " x ",
                      of_tokens.shape[1], " and 'head.state_factors' of ", rank, " x ", of_states.shape[1],
                      " do not fit ", vocab_size, " tokens and d_model ", d_model);
    sizes.rank = static_cast<int>(rank);
    token_factors = file.values<float>(of_tokens);
    state_factors = file.values<float>(of_states);
  }
  const SharedArray<float> biases = file.values<float>(bias);
  return HeadCorrection::make(sizes, [&](std::span<float> all) {
    const auto copy = [](const SharedArray<float>& from, std::span<float> to) {
      std::copy_n(from.data(), to.size(), to.begin());
    };
    copy(biases, sizes.bias(all));
    copy(token_factors, sizes.token_factors(all));
    copy(state_factors, sizes.state_factors(all));
    if (const std::size_t at = first_not_finite(std::span<const float>(all)); at < all.size())
      fail<FileError>(file.path(), ": number ", at, " of the correction of the head is ", all[at],
                      ": it must be finite");
  });
}

}  // namespace detail

/// What corrects the output head of the embedding that `save` wrote to a model file; nothing if it has none.
/// Throws FileError if the file is none or is damaged. The numbers are copied. O(V * k).
inline std::optional<HeadCorrection> load_head_correction(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  constexpr std::string_view names[] = {"head.bias", "head.token_factors", "head.state_factors"};
  if (std::none_of(std::begin(names), std::end(names),
                   [&](std::string_view name) { return file.find(name) != nullptr; }))
    return std::nullopt;
  return detail::read_head_correction(file);
}

}  // namespace KRONECKER_NAMESPACE
