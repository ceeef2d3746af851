#pragma once

/// The code of a token: a fixed vector of D = char_dim * pos_dim numbers that its bytes alone decide
/// (arXiv 2605.29459, section 3). Nothing here is learned, and nothing here is on the path of a forward pass:
/// the embedding needs only which cells a token lights and `scale`, never the dense vector.

#include <kronecker/cell.hpp>
#include <kronecker/code_options.hpp>
#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/types.hpp>
#include <kronecker/utf8.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace KRONECKER_NAMESPACE {

namespace detail {

/// Throws std::invalid_argument if a byte is outside an alphabet of `char_dim` bytes. `place` says, as parts
/// of the message, which token it is.
template <class... Place>
void check_alphabet(std::string_view bytes, int char_dim, const Place&... place) {
  if (char_dim == 256) return;
  for (std::size_t p = 0; p < bytes.size(); ++p)
    if (static_cast<unsigned char>(bytes[p]) >= char_dim)
      fail<std::invalid_argument>(place..., sizeof...(place) > 0 ? ": " : "", "byte ",
                                  static_cast<unsigned char>(bytes[p]), " at position ", p,
                                  " is outside the alphabet of char_dim ", char_dim);
}

/// `number`, of a magnitude that bfloat16 has, rounded to it once, to nearest even.
inline double nearest_bfloat16(double number) noexcept {
  constexpr int least_exponent = -126, fraction_bits = 7;
  const int exponent = (std::max)(std::ilogb(number), least_exponent);
  return std::ldexp(std::nearbyint(std::ldexp(number, fraction_bits - exponent)), exponent - fraction_bits);
}

}  // namespace detail

/// Turns byte strings into Kronecker codes and back.
///
/// Byte b at position p lights the cell `b * pos_dim + p`; a token of L bytes lights L of the D cells, all
/// with the same value, and all others another. char_dim (2 to 256) is the size of the byte alphabet and
/// pos_dim (1 to 255) the number of bytes kept of a token. Either is a template argument, or Eigen::Dynamic
/// and given to the constructor. Immutable and a few bytes large: copy it freely.
template <int CharDim = 256, int PosDim = 32>
class KroneckerEncoder {
  static_assert(CharDim == Eigen::Dynamic || (CharDim >= 2 && CharDim <= 256), "char_dim is 2 to 256");
  static_assert(PosDim == Eigen::Dynamic || (PosDim >= 1 && PosDim <= 255), "pos_dim is 1 to 255");

 public:
  /// An encoder of the sizes that the template arguments fix. Throws std::invalid_argument if epsilon is
  /// negative or not finite.
  explicit KroneckerEncoder(CodeOptions options = {}) requires(CharDim != Eigen::Dynamic &&
                                                               PosDim != Eigen::Dynamic)
      : KroneckerEncoder(CharDim, PosDim, options) {}

  /// An encoder of the given sizes. Throws std::invalid_argument if a size is out of its range or not the one
  /// that a template argument fixes, or if epsilon is negative or not finite.
  KroneckerEncoder(int char_dim, int pos_dim, CodeOptions options = {})
      : char_dim_(char_dim), pos_dim_(pos_dim), options_(options) {
    check_size("char_dim", char_dim, 2, 256, CharDim);
    check_size("pos_dim", pos_dim, 1, 255, PosDim);
    if (!detail::is_finite(options.epsilon) || options.epsilon < 0)
      detail::fail<std::invalid_argument>("epsilon ", options.epsilon, " is not a finite number >= 0");
  }

  /// The same encoder with sizes that are given at run time, or are fixed otherwise. Throws
  /// std::invalid_argument if this type fixes other sizes.
  template <int OtherCharDim, int OtherPosDim>
  requires(OtherCharDim != CharDim || OtherPosDim != PosDim)
      KroneckerEncoder(const KroneckerEncoder<OtherCharDim, OtherPosDim>& other)
      : KroneckerEncoder(other.char_dim(), other.pos_dim(), other.options()) {}

  /// Size of the alphabet.
  int char_dim() const noexcept { return CharDim == Eigen::Dynamic ? char_dim_ : CharDim; }
  /// Bytes kept of a token.
  int pos_dim() const noexcept { return PosDim == Eigen::Dynamic ? pos_dim_ : PosDim; }
  /// Size of a code, D = char_dim * pos_dim.
  int code_dim() const noexcept { return char_dim() * pos_dim(); }
  /// How codes are normalized.
  CodeOptions options() const noexcept { return options_; }

  /// The bytes of `token` that are encoded: utf8_safe_prefix(token, pos_dim).
  std::string_view truncate(std::string_view token) const noexcept {
    return utf8_safe_prefix(token, static_cast<std::size_t>(pos_dim()));
  }

  /// The cells that `token` lights, in byte order, after truncation. Throws std::invalid_argument if a byte
  /// is outside the alphabet.
  std::vector<int> cells(std::string_view token) const {
    const std::string_view bytes = checked(truncate(token));
    std::vector<int> lit(bytes.size());
    for (std::size_t p = 0; p < bytes.size(); ++p) lit[p] = cell(bytes, p);
    return lit;
  }

  /// The dense code of `token`, (D), after truncation; all zeros for the empty token. Throws
  /// std::invalid_argument if a byte is outside the alphabet. O(D).
  Eigen::VectorXf encode(std::string_view token) const {
    const std::string_view bytes = checked(truncate(token));
    Eigen::VectorXf code(code_dim());
    write_code(bytes, code);
    return code;
  }

  /// The dense codes of N tokens, (N, D). Errors are those of `encode`, and name the token's index.
  RowMajorMatrix<float> encode_all(std::span<const std::string> tokens) const {
    for (std::size_t i = 0; i < tokens.size(); ++i)
      detail::check_alphabet(truncate(tokens[i]), char_dim(), "token at index ", i);
    RowMajorMatrix<float> codes(static_cast<Eigen::Index>(tokens.size()), code_dim());
    for (std::size_t i = 0; i < tokens.size(); ++i)
      write_code(truncate(tokens[i]), codes.row(static_cast<Eigen::Index>(i)));
    return codes;
  }

  /// The bytes that `code`, (D), encodes: decode(encode(x)) == truncate(x) in every mode.
  ///
  /// In every mode the lit cells of a code are exactly its positive entries, and only those are read, so a
  /// code that was rounded to another type decodes as well. Throws std::invalid_argument if the size is not
  /// D, if a value is not finite, or if the positive entries are not one cell for each of the first L
  /// positions. O(D).
  std::string decode(const Eigen::Ref<const Eigen::VectorXf>& code) const {
    if (code.size() != code_dim())
      detail::fail<std::invalid_argument>("a code of ", code.size(),
                                          " values cannot be decoded: code_dim is ", code_dim());
    constexpr int unlit = -1;
    std::vector<int> byte_at(static_cast<std::size_t>(pos_dim()), unlit);
    std::size_t length = 0;
    for (int index = 0; index < code_dim(); ++index) {
      if (detail::is_finite_and_not_positive(code[index])) continue;
      if (!detail::is_finite(code[index]))
        detail::fail<std::invalid_argument>("the code's value at cell ", index, " is not finite");
      int& byte = byte_at[static_cast<std::size_t>(index % pos_dim())];
      if (byte != unlit)
        detail::fail<std::invalid_argument>("not a code: position ", index % pos_dim(), " is lit for byte ",
                                            byte, " and for byte ", index / pos_dim());
      byte = index / pos_dim();
      ++length;
    }
    std::string bytes;
    for (std::size_t p = 0; p < length; ++p) {
      if (byte_at[p] == unlit)
        detail::fail<std::invalid_argument>("not a code: ", length, " positions are lit, but not position ",
                                            p);
      bytes += static_cast<char>(byte_at[p]);
    }
    return bytes;
  }

  /// a_L, the factor that turns the sum of a token's L (centered) projection rows into its embedding:
  /// s / (deviation + epsilon) when z-normalizing, else s; 0 for L = 0. Of a rounded code, the difference of
  /// a lit and an unlit cell. Computed in double and rounded once. Throws std::out_of_range if `length` is
  /// negative or more than pos_dim.
  float scale(int length) const {
    if (options_.rounding == CodeRounding::exact) return static_cast<float>(exact_scale(length));
    const Values values = values_of(length);
    return static_cast<float>(values.lit - values.unlit);
  }

  /// a_L times `gain`, rounded to float, for every length L from 0 to pos_dim. Throws std::invalid_argument
  /// if the gain is not finite.
  std::vector<float> scales(float gain = 1) const {
    if (!detail::is_finite(gain)) detail::fail<std::invalid_argument>("the gain ", gain, " is not finite");
    std::vector<float> all(static_cast<std::size_t>(pos_dim()) + 1);
    for (std::size_t length = 0; length < all.size(); ++length)
      all[length] = scale(static_cast<int>(length)) * gain;
    return all;
  }

  /// What the D - L unlit cells of the code of a token of that length hold: the exact value of a rounded
  /// code; 0 for L = 0 and without z-normalization. Throws std::out_of_range as `scale` does.
  float unlit_value(int length) const { return static_cast<float>(values_of(length).unlit); }

  /// Whether the projection's rows are centered, which takes care of a code's mean: for exact z-normalized
  /// codes.
  bool centers_rows() const noexcept {
    return options_.z_normalize && options_.rounding == CodeRounding::exact;
  }

  /// Whether a sum of rows has one more, that of the length, in place of it: for rounded z-normalized codes.
  bool has_length_rows() const noexcept {
    return options_.z_normalize && options_.rounding != CodeRounding::exact;
  }

  /// D v / (u - v), with u and v the values of a lit and an unlit cell: times the mean w_bar of all D rows,
  /// it is the row of length L.
  ///
  ///     W code = a_L * (sum_p w_{cell_p} + length_row_factor(L) * w_bar)
  ///
  /// 0 for L = 0, without z-normalization, where v is 0, and for exact codes, whose rows are centered.
  /// Throws std::out_of_range as `scale` does.
  double length_row_factor(int length) const {
    const Values values = values_of(length);
    if (length == 0 || !has_length_rows()) return 0;
    return values.unlit * code_dim() / (values.lit - values.unlit);
  }

  /// The cosine of the codes of `a` and `b`, from the number of positions at which their bytes agree; 0 if
  /// either is empty. Without z-normalization it is at least 0. Throws std::invalid_argument if a byte is
  /// outside the alphabet. O(pos_dim), no vectors.
  float cosine(std::string_view a, std::string_view b) const {
    a = checked(truncate(a));
    b = checked(truncate(b));
    if (a.empty() || b.empty()) return 0.0f;
    int matches = 0;
    for (std::size_t p = 0; p < (std::min)(a.size(), b.size()); ++p) matches += a[p] == b[p] ? 1 : 0;

    const auto length_a = static_cast<double>(a.size());
    const auto length_b = static_cast<double>(b.size());
    if (!options_.z_normalize) return static_cast<float>(matches / std::sqrt(length_a * length_b));
    const double d = code_dim();
    if (options_.rounding != CodeRounding::exact)
      return static_cast<float>(inner_product(length_a, length_b, matches) /
                                std::sqrt(inner_product(length_a, length_a, length_a) *
                                          inner_product(length_b, length_b, length_b)));
    const double covariance = matches - length_a * length_b / d;
    const double variances = (length_a * (1 - length_a / d)) * (length_b * (1 - length_b / d));
    return static_cast<float>(covariance / std::sqrt(variances));
  }

 private:
  static void check_size(std::string_view name, int value, int least, int most, int fixed) {
    if (value < least || value > most)
      detail::fail<std::invalid_argument>(name, " ", value, " is outside ", least, " to ", most);
    if (fixed != Eigen::Dynamic && value != fixed)
      detail::fail<std::invalid_argument>(name, " ", value, " is not the ", fixed,
                                          " that the encoder's type fixes");
  }

  std::string_view checked(std::string_view bytes) const {
    detail::check_alphabet(bytes, char_dim());
    return bytes;
  }

  int cell(std::string_view bytes, std::size_t position) const {
    return static_cast<int>(
        cell_of(static_cast<unsigned char>(bytes[position]), position, static_cast<std::size_t>(pos_dim())));
  }

  /// The values of a code's lit and unlit cells.
  struct Values {
    double lit, unlit;
  };

  /// a_L of an exact code, in double. Sums and products never meet in one expression, so that no compiler can
  /// fuse them.
  double exact_scale(int length) const {
    if (length < 0 || length > pos_dim())
      detail::fail<std::out_of_range>("a token of ", length, " bytes has no scale: lengths are 0 to pos_dim ",
                                      pos_dim());
    if (length == 0) return 0;
    const double l = length;
    const double d = code_dim();
    const double s = options_.length_normalize ? 1 / std::sqrt(l) : 1.0;
    if (!options_.z_normalize) return s;
    const double deviation_over_s = std::sqrt(l * (1 - l / d) / (d - 1));
    return 1 / (deviation_over_s + static_cast<double>(options_.epsilon) / s);
  }

  Values values_of(int length) const {
    const double scale = exact_scale(length);
    const double mean_over_s = options_.z_normalize ? static_cast<double>(length) / code_dim() : 0.0;
    const Values exact{scale * (1 - mean_over_s), 0 - scale * mean_over_s};
    if (options_.rounding == CodeRounding::exact) return exact;
    return {detail::nearest_bfloat16(exact.lit), detail::nearest_bfloat16(exact.unlit)};
  }

  /// That of two codes of these lengths that agree at `matches` positions. Rounded, their values have 8 bits,
  /// and this is exact.
  double inner_product(double length_a, double length_b, double matches) const {
    const Values a = values_of(static_cast<int>(length_a)), b = values_of(static_cast<int>(length_b));
    const double only_a = length_a - matches, only_b = length_b - matches;
    return matches * (a.lit * b.lit) + only_a * (a.lit * b.unlit) + only_b * (a.unlit * b.lit) +
           (code_dim() - length_a - only_b) * (a.unlit * b.unlit);
  }

  template <class Code>
  void write_code(std::string_view bytes, Code&& code) const {
    const Values values = values_of(static_cast<int>(bytes.size()));
    code.setConstant(static_cast<float>(values.unlit));
    for (std::size_t p = 0; p < bytes.size(); ++p) code[cell(bytes, p)] = static_cast<float>(values.lit);
  }

  int char_dim_;
  int pos_dim_;
  CodeOptions options_;
};

/// Sizes given to the constructor are run-time sizes, unless the type says otherwise.
KroneckerEncoder(int, int, CodeOptions = {})->KroneckerEncoder<Eigen::Dynamic, Eigen::Dynamic>;

/// An encoder whose sizes are given at run time; every other converts to it.
using DynamicEncoder = KroneckerEncoder<Eigen::Dynamic, Eigen::Dynamic>;

}  // namespace KRONECKER_NAMESPACE
