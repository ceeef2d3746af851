#include "token_counts.hpp"

#include "files.hpp"

#include <kronecker/error.hpp>
#include <kronecker/files/file_kind.hpp>
#include <kronecker/files/mapped_file.hpp>
#include <kronecker/files/npy.hpp>
#include <kronecker/number_text.hpp>
#include <kronecker/shown_text.hpp>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>
#include <utility>

namespace kron {
namespace {

using kronecker::TokenId;
using kronecker::detail::fail;
using kronecker::detail::number_in;

/// Counts as they are read, each checked.
class CountsReader {
 public:
  CountsReader(const kronecker::MappedFile& file, TokenId vocab_size)
      : file_(file), counts_(static_cast<std::size_t>(vocab_size), 0.0) {}

  std::vector<double> read() {
    const kronecker::FileKind kind = kronecker::kind_of_content(file_.text());
    if (kind == kronecker::FileKind::npy)
      read_npy();
    else if (kind == kronecker::FileKind::json)
      read_json();
    else
      read_lines();
    if (std::all_of(counts_.begin(), counts_.end(), [](double count) { return count == 0; }))
      fail<kronecker::FileError>(file_.path(), ": no token occurs");
    return std::move(counts_);
  }

 private:
  void set(std::size_t id, double count) {
    if (id >= counts_.size())
      fail<kronecker::FileError>(file_.path(), ": token id ", id, " is outside the vocabulary of ",
                                 counts_.size(), " tokens");
    if (!(count >= 0 && count <= (std::numeric_limits<double>::max)()))
      fail<kronecker::FileError>(file_.path(), ": the count ", count, " of token id ", id,
                                 " is no number from 0 on");
    counts_[id] = count;
  }

  void read_npy() {
    const bool is_read = read_npy_of<std::int64_t>() || read_npy_of<std::uint64_t>() ||
                         read_npy_of<std::int32_t>() || read_npy_of<std::uint32_t>() ||
                         read_npy_of<double>() || read_npy_of<float>();
    if (!is_read)
      fail<kronecker::FileError>(
          file_.path(),
          ": expected counts as integers or floats of 32 or 64 bits, of this machine's "
          "order of bytes");
  }

  template <class T>
  bool read_npy_of() {
    const std::string_view header = file_.text().substr(0, 256);
    if (header.find(kronecker::detail::npy_type<T>()) == header.npos) return false;
    const kronecker::NpyArray<T> array = kronecker::read_npy<T>(file_.path());
    for (std::size_t id = 0; id < array.values.size(); ++id) set(id, static_cast<double>(array.values[id]));
    return true;
  }

  void read_json() {
    const auto json = nlohmann::json::parse(file_.text(), nullptr, false);
    const auto count = [&](std::size_t id, const nlohmann::json& value) {
      if (!value.is_number())
        fail<kronecker::FileError>(file_.path(), ": the count of token id ", id, " is no number");
      set(id, value.get<double>());
    };
    if (json.is_array())
      for (std::size_t id = 0; id < json.size(); ++id) count(id, json[id]);
    else if (json.is_object())
      for (const auto& [key, value] : json.items()) count(id_of(key), value);
    else
      fail<kronecker::FileError>(file_.path(),
                                 ": expected a JSON array of counts, or an object of ids and counts");
  }

  void read_lines() {
    std::string_view rest = file_.text();
    for (std::size_t line_number = 1; !rest.empty(); ++line_number) {
      const std::string_view line = take_line(rest);
      if (line.empty()) continue;
      const std::size_t gap = (std::min)(line.find_first_of(" \t,"), line.size());
      const std::string_view number =
          line.substr((std::min)(line.find_first_not_of(" \t,", gap), line.size()));
      const auto count = number_in<double>(number);
      if (!count)
        fail<kronecker::FileError>(file_.path(), ": line ", line_number,
                                   ": expected a token id and its count, such as 464 1234, found ",
                                   kronecker::quoted_text(line.substr(0, 80)));
      set(id_of(line.substr(0, gap)), *count);
    }
  }

  static std::string_view take_line(std::string_view& text) {
    const std::size_t end = (std::min)(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix((std::min)(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }

  std::size_t id_of(std::string_view digits) const {
    const auto id = number_in<std::size_t>(digits);
    if (!id)
      fail<kronecker::FileError>(file_.path(), ": expected a token id, found ",
                                 kronecker::quoted_text(digits.substr(0, 80)));
    return *id;
  }

  const kronecker::MappedFile& file_;
  std::vector<double> counts_;
};

/// The longest token that a text begins with, again and again. Special tokens are not looked for, and bytes
/// that begin no token are passed over.
class LongestMatch {
 public:
  explicit LongestMatch(const kronecker::Vocabulary& vocabulary) : vocabulary_(vocabulary) {
    for (TokenId id = 0; id < vocabulary.size(); ++id)
      if (!vocabulary.is_special(id) && !vocabulary.bytes(id).empty()) ids_.push_back(id);
    std::stable_sort(ids_.begin(), ids_.end(),
                     [&](TokenId a, TokenId b) { return vocabulary.bytes(a) < vocabulary.bytes(b); });
    for (std::size_t i = 0, pair = 0; pair < first_.size();
         ++pair) {  // ids in the order of their first two bytes
      while (i < ids_.size() && pair_of(vocabulary.bytes(ids_[i])) < pair) ++i;
      first_[pair] = i;
    }
  }

  /// The token, and nothing if there is none.
  std::optional<TokenId> find(std::string_view text) const {
    std::optional<TokenId> longest;
    std::size_t begin = first_[pair_of(text.substr(0, 1))], end = ids_.size(), length = 1;
    if (text.size() > 1) {  // tokens of one byte come before all of its pairs
      if (begin < end && vocabulary_.bytes(ids_[begin]) == text.substr(0, 1)) longest = ids_[begin];
      const std::size_t pair = pair_of(text.substr(0, 2));
      begin = (std::max)(begin, first_[pair]);
      end = pair + 1 < first_.size() ? first_[pair + 1] : ids_.size();
      length = 2;
    }
    for (; length <= text.size() && begin < end; ++length) {
      const std::string_view wanted = text.substr(0, length);
      const auto prefix = [&](TokenId id) { return vocabulary_.bytes(id).substr(0, length); };
      const auto at = [&](std::size_t i) { return ids_.begin() + static_cast<std::ptrdiff_t>(i); };
      const auto low = std::lower_bound(
          at(begin), at(end), wanted, [&](TokenId id, std::string_view text_) { return prefix(id) < text_; });
      const auto high = std::upper_bound(
          low, at(end), wanted, [&](std::string_view text_, TokenId id) { return text_ < prefix(id); });
      if (low == high) break;
      if (vocabulary_.bytes(*low).size() == length) longest = *low;
      begin = static_cast<std::size_t>(low - ids_.begin());
      end = static_cast<std::size_t>(high - ids_.begin());
    }
    return longest;
  }

 private:
  static std::size_t pair_of(std::string_view bytes) {
    const auto byte = [&](std::size_t i) {
      return i < bytes.size() ? std::size_t{static_cast<unsigned char>(bytes[i])} : 0;
    };
    return byte(0) << 8 | byte(1);
  }

  const kronecker::Vocabulary& vocabulary_;
  std::vector<TokenId> ids_;                                          // sorted by bytes
  std::vector<std::size_t> first_ = std::vector<std::size_t>(65536);  // of each pair of first bytes
};

TokenCounts counts_in_text(const std::string& path, const kronecker::Vocabulary& vocabulary) {
  const kronecker::MappedFile file(path == "-" ? "/dev/stdin" : path);
  TokenCounts counts{std::vector<double>(static_cast<std::size_t>(vocabulary.size())), {}};
  const LongestMatch tokens(vocabulary);
  std::size_t passed_over = 0;
  for (std::string_view rest = file.text(); !rest.empty();) {
    const auto token = tokens.find(rest);
    if (token) counts.of[static_cast<std::size_t>(*token)] += 1;
    if (!token) ++passed_over;
    rest.remove_prefix(token ? vocabulary.bytes(*token).size() : 1);
  }
  if (passed_over == file.text().size()) fail<kronecker::FileError>(file.path(), ": no token occurs");
  const std::string name = kronecker::shown_text(path);
  fmt::print(stderr,
             "kron: {}: tokens are counted by the longest match at each place, not by the tokenizer's own "
             "rules{}; counts of real ids can be given by --counts\n",
             name, passed_over > 0 ? fmt::format(", and {} bytes begin none", passed_over) : "");
  counts.source = fmt::format("longest matches in {}", name);
  return counts;
}

}  // namespace

double TokenCounts::total() const {
  double sum = 0;
  for (const double count : of) sum += count;
  return sum;
}

std::size_t TokenCounts::occurring() const {
  return static_cast<std::size_t>(
      std::count_if(of.begin(), of.end(), [](double count) { return count > 0; }));
}

void CountsOption::add(CLI::App& command) {
  auto* const counts =
      command
          .add_option(
              "--counts", counts_path_,
              "How often each token occurs, by which it is weighted: an array in .npy or JSON, a JSON "
              "object of ids and counts, or lines of an id and a count")
          ->type_name("FILE");
  command
      .add_option("--text", text_path_,
                  "The same from a text, such as one that the model was trained on; tokens are found by the "
                  "longest match")
      ->type_name("FILE")
      ->excludes(counts);
}

TokenCounts CountsOption::read(const kronecker::Vocabulary& vocabulary) const {
  if (!text_path_.empty()) return counts_in_text(text_path_, vocabulary);
  const kronecker::MappedFile file(counts_path_ == "-" ? "/dev/stdin" : counts_path_);
  return {CountsReader(file, vocabulary.size()).read(),
          fmt::format("the counts of {}", kronecker::shown_text(counts_path_))};
}

void CountsOption::check_kept(const std::string& output) const {
  examples::check_replaces_none(output, {counts_path_, text_path_});
}

}  // namespace kron
