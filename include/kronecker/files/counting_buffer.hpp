#pragma once

/// How many bytes were written to a stream, of any kind.

#include <kronecker/namespace.hpp>

#include <cstdint>
#include <ostream>
#include <streambuf>

namespace KRONECKER_NAMESPACE::detail {

/// Passes on what is written and counts it: a pipe cannot tell how far it has got.
class CountingBuffer final : public std::streambuf {
 public:
  explicit CountingBuffer(std::ostream& target) : target_(target) {}
  std::uint64_t count() const noexcept { return count_; }

 private:
  std::streamsize xsputn(const char* bytes, std::streamsize size) override {
    if (!target_.write(bytes, size)) return 0;
    count_ += static_cast<std::uint64_t>(size);
    return size;
  }
  int_type overflow(int_type byte) override {
    if (traits_type::eq_int_type(byte, traits_type::eof())) return traits_type::not_eof(byte);
    const char one = traits_type::to_char_type(byte);
    return xsputn(&one, 1) == 1 ? byte : traits_type::eof();
  }

  std::ostream& target_;
  std::uint64_t count_ = 0;
};

}  // namespace KRONECKER_NAMESPACE::detail
