#pragma once

/// What is said of a file that is not what a reader wants: what it is, and what to do about it.

#include <kronecker/error.hpp>
#include <kronecker/files/file_kind.hpp>
#include <kronecker/namespace.hpp>

#include <string>
#include <string_view>

namespace KRONECKER_NAMESPACE::detail {

/// The two lines of Python that make a safetensors file of what torch.save wrote into `path`.
inline std::string python_for_pickle(std::string_view path) {
  const std::string_view name = path.substr(path.find_last_of("/\\") + 1);  // all of it, if there is none
  const std::string file(name.find_first_of("\"\\") == name.npos ? name : "pytorch_model.bin");
  return "; pickles are not read, since they can run any program; in Python, where its model may be "
         "trusted:\n"
         "  import torch; from safetensors.torch import save_file\n"
         "  save_file({k: v.clone().contiguous() for k, v in torch.load(\"" +
         file + "\", map_location=\"cpu\", weights_only=True).items()}, \"model.safetensors\")";
}

/// Throws FileError if `content`, a file's or its front, is of a kind that is known but not `wanted`; of what
/// is not known the reader says what it misses.
inline void refuse_other_kind(const std::string& path, std::string_view content, FileKind wanted) {
  const FileKind kind = kind_of_content(content);
  if (kind == wanted || kind == FileKind::unknown) return;
  const bool is_pickle = kind == FileKind::torch_zip || kind == FileKind::pickle;
  fail<FileError>(path, ": expected ", name_of(wanted), ", found ", name_of(kind),
                  is_pickle ? python_for_pickle(path) : std::string());
}

}  // namespace KRONECKER_NAMESPACE::detail
