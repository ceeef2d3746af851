#pragma once

/// What is said of a file that is not what a reader wants: what it is, and what to do about it.

#include <kronecker/error.hpp>
#include <kronecker/files/file_kind.hpp>
#include <kronecker/namespace.hpp>

#include <string>
#include <string_view>

namespace KRONECKER_NAMESPACE::detail {

/// Throws FileError if `content`, a file's or its front, is of a kind that is known but not `wanted`; of what
/// is not known the reader says what it misses.
inline void refuse_other_kind(const std::string& path, std::string_view content, FileKind wanted) {
  const FileKind kind = kind_of_content(content);
  if (kind == wanted || kind == FileKind::unknown) return;
  if (kind == FileKind::torch_zip || kind == FileKind::pickle)
    fail<FileError>(path, ": expected ", name_of(wanted), ", found ", name_of(kind),
                    "; pickles are not read, since they can run any program. Two lines of Python make a "
                    "safetensors file of one that PyTorch wrote:\n"
                    "  import torch; from safetensors.torch import save_file\n"
                    "  save_file({k: v.clone().contiguous() for k, v in torch.load(\"",
                    std::string_view(path).substr(path.find_last_of("/\\") + 1),
                    "\", map_location=\"cpu\").items()}, \"model.safetensors\")");
  fail<FileError>(path, ": expected ", name_of(wanted), ", found ", name_of(kind));
}

}  // namespace KRONECKER_NAMESPACE::detail
