#pragma once

/// How a tensor is found by a part of its name, and what sizes of one are refused.

#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// The one name that is `wanted` or ends in "." + wanted.
inline std::string unique_name(const std::string& path, const std::vector<std::string>& names,
                               std::string_view wanted) {
  if (std::find(names.begin(), names.end(), wanted) != names.end()) return std::string(wanted);
  std::string suffix = ".";
  suffix += wanted;
  std::vector<std::string> matches;
  std::copy_if(names.begin(), names.end(), std::back_inserter(matches),
               [&](const std::string& name) { return name.ends_with(suffix); });
  if (matches.empty())
    fail<FileError>(path, ": of ", counted(names.size(), "tensor"), " none is named '", wanted, "'");
  if (matches.size() > 1)
    fail<FileError>(path, ": '", wanted, "' could be '", matches[0], "' or '", matches[1],
                    "': give the full name");
  return matches.front();
}

/// Refuses a size that no projection or vocabulary can have, which an empty matrix may claim too.
inline void check_matrix_size(const std::string& path, std::string_view name, std::uint64_t rows,
                              std::uint64_t columns) {
  constexpr std::uint64_t most = (std::numeric_limits<std::int32_t>::max)();
  if (rows > most || columns > most)
    fail<FileError>(path, ": '", name, "' is ", rows, " x ", columns, ": over the limit of ", most,
                    " rows or columns");
}

}  // namespace KRONECKER_NAMESPACE::detail
