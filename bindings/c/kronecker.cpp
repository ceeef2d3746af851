/// The functions of the C interface for embeddings that were saved.

#include "status.hpp"

#include <kronecker/files/head_correction.hpp>
#include <kronecker/files/model.hpp>
#include <kronecker/head.hpp>
#include <kronecker/head_correction.hpp>
#include <kronecker/version.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// An embedding with rows of any type, what corrects its head, and that head once logits were asked for.
struct kronecker_embedding {
  kronecker::AnyEmbedding embedding;
  std::optional<kronecker::HeadCorrection> correction;
  mutable std::once_flag head_is_made = {};
  mutable std::optional<kronecker::KroneckerHead> head = {};
};

namespace {

using kronecker::TokenId;
using kronecker_c::check_pointer;
using kronecker_c::guarded;

/// Refuses an output of another size than `count` times `width`.
void check_output(const float* out, std::size_t size, std::size_t count, std::size_t width) {
  check_pointer("out", out, size);
  if (size % width != 0 || size / width != count)
    kronecker::detail::fail<std::invalid_argument>("an output of ", size, " floats does not fit ", count,
                                                   " rows of ", width);
}

TokenId vocab_size_of(const kronecker_embedding& opened) {
  return std::visit([](const auto& embedding) { return embedding.vocab_size(); }, opened.embedding);
}

int d_model_of(const kronecker_embedding& opened) {
  return std::visit([](const auto& embedding) { return embedding.d_model(); }, opened.embedding);
}

std::size_t width_of(const kronecker_embedding& opened) {
  return static_cast<std::size_t>(d_model_of(opened));
}

void embed(const kronecker_embedding& opened, kronecker::TokenSequence tokens,
           kronecker::Outputs<float> out) {
  std::visit([&](const auto& embedding) { embedding.forward(tokens, out); }, opened.embedding);
}

void logits(const kronecker_embedding& opened, kronecker::Inputs hidden, kronecker::Outputs<float> out) {
  std::visit(
      [&](const auto& embedding) {
        std::call_once(opened.head_is_made, [&] { opened.head.emplace(embedding); });
        opened.head->logits(embedding, hidden, out, opened.correction ? &*opened.correction : nullptr);
      },
      opened.embedding);
}

}  // namespace

kronecker_status kronecker_open(const char* path, kronecker_embedding** embedding) {
  return guarded([&] {
    check_pointer("path", path);
    check_pointer("embedding", embedding);
    const std::u8string utf8(path, path + std::strlen(path));
    *embedding = new kronecker_embedding{kronecker::load_any(utf8), kronecker::load_head_correction(utf8)};
  });
}

void kronecker_close(kronecker_embedding* embedding) { delete embedding; }

int32_t kronecker_vocab_size(const kronecker_embedding* embedding) {
  return embedding == nullptr ? 0 : vocab_size_of(*embedding);
}

int32_t kronecker_d_model(const kronecker_embedding* embedding) {
  return embedding == nullptr ? 0 : d_model_of(*embedding);
}

kronecker_status kronecker_embed_ids(const kronecker_embedding* embedding, const int32_t* ids, size_t count,
                                     float* out, size_t out_size) {
  return guarded([&] {
    check_pointer("embedding", embedding);
    check_pointer("ids", ids, count);
    check_output(out, out_size, count, width_of(*embedding));
    embed(*embedding, {ids, count}, {out, out_size});
  });
}

kronecker_status kronecker_embed_strings(const kronecker_embedding* embedding, const char* const* strings,
                                         const size_t* lengths, size_t count, float* out, size_t out_size) {
  return guarded([&] {
    check_pointer("embedding", embedding);
    check_pointer("strings", strings, count);
    check_pointer("lengths", lengths, count);
    check_output(out, out_size, count, width_of(*embedding));
    std::vector<kronecker::TokenOrBytes> tokens;
    for (std::size_t i = 0; i < count; ++i) {
      if (strings[i] == nullptr && lengths[i] > 0)
        kronecker::detail::fail<std::invalid_argument>("string ", i, " is null");
      tokens.emplace_back(std::string_view(strings[i], lengths[i]));
    }
    embed(*embedding, tokens, {out, out_size});
  });
}

kronecker_status kronecker_logits(const kronecker_embedding* embedding, const float* hidden, size_t count,
                                  float* out, size_t out_size) {
  return guarded([&] {
    check_pointer("embedding", embedding);
    check_pointer("hidden", hidden, count);
    check_output(out, out_size, count, static_cast<std::size_t>(vocab_size_of(*embedding)));
    logits(*embedding, {hidden, count * width_of(*embedding)}, {out, out_size});
  });
}

const char* kronecker_error_message(void) { return kronecker_c::message; }

#define KRONECKER_TEXT_OF(number) #number
#define KRONECKER_DOTTED(a, b, c) KRONECKER_TEXT_OF(a) "." KRONECKER_TEXT_OF(b) "." KRONECKER_TEXT_OF(c)

const char* kronecker_version(void) {
  return KRONECKER_DOTTED(KRONECKER_VERSION_MAJOR, KRONECKER_VERSION_MINOR, KRONECKER_VERSION_PATCH);
}
