/// Tells any bytes' kind. A kind is told by the front alone and has a name, and special tokens are read from
/// such a file or refused.

#include "fuzz.hpp"

#include <kronecker/files/file_kind.hpp>
#include <kronecker/vocabularies/special_tokens.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view content(reinterpret_cast<const char*>(data), size);
  const kronecker::FileKind kind = kronecker::kind_of_content(content);
  fuzz::expect(kind == kronecker::kind_of_content(content.substr(0, kronecker::file_kind_head_size)));
  fuzz::expect((kind == kronecker::FileKind::empty) == content.empty());
  fuzz::expect(!name_of(kind).empty());
  return fuzz::read_as_file(data, size, [](const auto& path) { kronecker::load_special_tokens(path); });
}
