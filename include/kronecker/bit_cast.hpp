#pragma once

/// std::bit_cast, which libc++ lacks before 14.

#include <kronecker/namespace.hpp>

#include <bit>
#include <version>

namespace KRONECKER_NAMESPACE::detail {

/// A value of type To that has the bits of `value`.
template <class To, class From>
constexpr To bit_cast(const From& value) noexcept {
#ifdef __cpp_lib_bit_cast
  return std::bit_cast<To>(value);
#else
  return __builtin_bit_cast(To, value);
#endif
}

}  // namespace KRONECKER_NAMESPACE::detail
