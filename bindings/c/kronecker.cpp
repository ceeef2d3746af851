/// The C interface. No exception and no C++ type leaves this file.

#include "kronecker.h"

#include <kronecker/files/model.hpp>
#include <kronecker/head.hpp>
#include <kronecker/version.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// An embedding with rows of any type.
struct kronecker_embedding {
  virtual ~kronecker_embedding() = default;
  virtual kronecker::TokenId vocab_size() const noexcept = 0;
  virtual int d_model() const noexcept = 0;
  virtual void embed(std::span<const kronecker::TokenId> ids, std::span<float> out) const = 0;
  virtual void embed(std::span<const std::string_view> strings, std::span<float> out) const = 0;
  virtual void logits(std::span<const float> hidden, std::span<float> out) const = 0;
};

namespace {

using kronecker::TokenId;

constexpr std::size_t message_size = 512;
thread_local char message[message_size];  // a fixed size, so that an error can be told when memory is short

kronecker_status failed(kronecker_status status, const char* what) noexcept {
  const std::size_t length = std::min(std::strlen(what), message_size - 1);
  std::memcpy(message, what, length);
  message[length] = '\0';
  return status;
}

/// Does the work of a call; what it throws becomes a status and a message.
template <class Work>
kronecker_status guarded(Work&& work) noexcept {
  try {
    work();
    return KRONECKER_OK;
  } catch (const kronecker::FileError& error) {
    return failed(KRONECKER_FILE_ERROR, error.what());
  } catch (const std::out_of_range& error) {
    return failed(KRONECKER_OUT_OF_RANGE, error.what());
  } catch (const std::invalid_argument& error) {
    return failed(KRONECKER_INVALID_ARGUMENT, error.what());
  } catch (const std::bad_alloc&) {
    return failed(KRONECKER_OUT_OF_MEMORY, "there is not enough memory");
  } catch (const std::exception& error) {
    return failed(KRONECKER_INTERNAL_ERROR, error.what());
  } catch (...) {
    return failed(KRONECKER_INTERNAL_ERROR, "an unknown error");
  }
}

template <class Embedding>
class AnyEmbedding final : public kronecker_embedding {
 public:
  explicit AnyEmbedding(Embedding embedding) : embedding_(std::move(embedding)) {}

  TokenId vocab_size() const noexcept override { return embedding_.vocab_size(); }
  int d_model() const noexcept override { return embedding_.d_model(); }
  void embed(std::span<const TokenId> ids, std::span<float> out) const override {
    embedding_.forward(ids, out);
  }
  void embed(std::span<const std::string_view> strings, std::span<float> out) const override {
    for (std::size_t i = 0; i < strings.size(); ++i)
      kronecker::detail::check_alphabet(embedding_.encoder().truncate(strings[i]),
                                        embedding_.encoder().char_dim(), "string ", i);
    float* to = out.data();
    for (const std::string_view string : strings) {
      const Eigen::VectorXf vector = embedding_.embed(string);
      to = std::copy(vector.begin(), vector.end(), to);
    }
  }
  void logits(std::span<const float> hidden, std::span<float> out) const override {
    std::call_once(head_is_made_, [&] { head_.emplace(embedding_); });
    head_->logits(hidden, out);
  }

 private:
  Embedding embedding_;
  mutable std::once_flag head_is_made_;
  mutable std::optional<decltype(kronecker::KroneckerHead(std::declval<Embedding>()))> head_;
};

void check_pointer(const char* name, const void* pointer, std::size_t count = 1) {
  if (pointer == nullptr && count > 0) kronecker::detail::fail<std::invalid_argument>(name, " is null");
}

/// Refuses an output of another size than `count` times `width`.
void check_output(const float* out, std::size_t size, std::size_t count, std::size_t width) {
  check_pointer("out", out, size);
  if (size % width != 0 || size / width != count)
    kronecker::detail::fail<std::invalid_argument>("an output of ", size, " floats does not fit ", count,
                                                   " rows of ", width);
}

std::size_t width_of(const kronecker_embedding& embedding) {
  return static_cast<std::size_t>(embedding.d_model());
}

}  // namespace

kronecker_status kronecker_open(const char* path, kronecker_embedding** embedding) {
  return guarded([&] {
    check_pointer("path", path);
    check_pointer("embedding", embedding);
    const std::u8string utf8(path, path + std::strlen(path));
    *embedding = kronecker::load_any(utf8, [](auto opened) -> kronecker_embedding* {
      return new AnyEmbedding<decltype(opened)>(std::move(opened));
    });
  });
}

void kronecker_close(kronecker_embedding* embedding) { delete embedding; }

int32_t kronecker_vocab_size(const kronecker_embedding* embedding) {
  return embedding == nullptr ? 0 : embedding->vocab_size();
}

int32_t kronecker_d_model(const kronecker_embedding* embedding) {
  return embedding == nullptr ? 0 : embedding->d_model();
}

kronecker_status kronecker_embed_ids(const kronecker_embedding* embedding, const int32_t* ids, size_t count,
                                     float* out, size_t out_size) {
  return guarded([&] {
    check_pointer("embedding", embedding);
    check_pointer("ids", ids, count);
    check_output(out, out_size, count, width_of(*embedding));
    embedding->embed(std::span(ids, count), std::span(out, out_size));
  });
}

kronecker_status kronecker_embed_strings(const kronecker_embedding* embedding, const char* const* strings,
                                         const size_t* lengths, size_t count, float* out, size_t out_size) {
  return guarded([&] {
    check_pointer("embedding", embedding);
    check_pointer("strings", strings, count);
    check_pointer("lengths", lengths, count);
    check_output(out, out_size, count, width_of(*embedding));
    std::vector<std::string_view> views;
    for (std::size_t i = 0; i < count; ++i) {
      if (strings[i] == nullptr && lengths[i] > 0)
        kronecker::detail::fail<std::invalid_argument>("string ", i, " is null");
      views.emplace_back(strings[i], lengths[i]);
    }
    embedding->embed(views, std::span(out, out_size));
  });
}

kronecker_status kronecker_logits(const kronecker_embedding* embedding, const float* hidden, size_t count,
                                  float* out, size_t out_size) {
  return guarded([&] {
    check_pointer("embedding", embedding);
    check_pointer("hidden", hidden, count);
    check_output(out, out_size, count, static_cast<std::size_t>(embedding->vocab_size()));
    embedding->logits(std::span(hidden, count * width_of(*embedding)), std::span(out, out_size));
  });
}

const char* kronecker_error_message(void) { return message; }

#define KRONECKER_TEXT_OF(number) #number
#define KRONECKER_DOTTED(a, b, c) KRONECKER_TEXT_OF(a) "." KRONECKER_TEXT_OF(b) "." KRONECKER_TEXT_OF(c)

const char* kronecker_version(void) {
  return KRONECKER_DOTTED(KRONECKER_VERSION_MAJOR, KRONECKER_VERSION_MINOR, KRONECKER_VERSION_PATCH);
}
