#pragma once

/// The types of a tensor's values, by the names that safetensors gives them, and their sizes.

#include <kronecker/error.hpp>
#include <kronecker/files/float8.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>

namespace KRONECKER_NAMESPACE::detail {

/// Size in bits of a value of the format's type, 0 if the type is unknown. Some are smaller than a byte.
inline std::size_t tensor_type_bits(std::string_view type) {
  struct TypeSize {
    std::string_view name;
    std::size_t bits;
  };
  constexpr TypeSize sizes[] = {
      {"F4", 4},          {"F6_E2M3", 6},     {"F6_E3M2", 6}, {"BOOL", 8}, {"U8", 8},   {"I8", 8},
      {"F8_E5M2", 8},     {"F8_E4M3", 8},     {"F8_E8M0", 8}, {"I16", 16}, {"U16", 16}, {"F16", 16},
      {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"BF16", 16},   {"I32", 32}, {"U32", 32}, {"F32", 32},
      {"I64", 64},        {"U64", 64},        {"F64", 64},    {"C64", 64}};
  const auto* const found = std::find_if(std::begin(sizes), std::end(sizes),
                                         [&](const TypeSize& size) { return size.name == type; });
  return found == std::end(sizes) ? 0 : found->bits;
}

/// "4 bytes", or "6 bits" for a size that is no whole number of bytes.
inline std::string size_in_words(std::uint64_t bits) {
  return bits % 8 == 0 ? counted(bits / 8, "byte") : counted(bits, "bit");
}

/// The format's name for T.
template <class T>
constexpr std::string_view tensor_type_name() {
  if constexpr (std::is_same_v<T, float>)
    return "F32";
  else if constexpr (std::is_same_v<T, Eigen::half>)
    return "F16";
  else if constexpr (std::is_same_v<T, Eigen::bfloat16>)
    return "BF16";
  else if constexpr (std::is_same_v<T, std::uint8_t>)
    return "U8";
  else if constexpr (std::is_same_v<T, std::int8_t>)
    return "I8";
  else if constexpr (std::is_same_v<T, std::int32_t>)
    return "I32";
  else if constexpr (std::is_same_v<T, std::int64_t>)
    return "I64";
  else if constexpr (std::is_same_v<T, double>)
    return "F64";
  else if constexpr (std::is_same_v<T, Float8E4M3>)
    return "F8_E4M3";
  else if constexpr (std::is_same_v<T, Float8E5M2>)
    return "F8_E5M2";
  else
    static_assert(sizeof(T) == 0, "no tensor type for T");
}

}  // namespace KRONECKER_NAMESPACE::detail
