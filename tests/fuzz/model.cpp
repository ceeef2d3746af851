/// Loads any bytes as a saved embedding with rows of every type, and embeds all its tokens and a string; and
/// what corrects its head.

#include "fuzz.hpp"

#include <kronecker/files/model.hpp>

namespace {

template <class Scalar>
void load_as(const std::filesystem::path& path) {
  const auto embedding = kronecker::load<Scalar>(path);
  fuzz::expect(embedding.table().rows() == embedding.vocab_size());
  fuzz::expect(embedding.embed("\x01").size() == embedding.d_model());
}

void load_correction(const std::filesystem::path& path) {
  if (const auto correction = kronecker::load_head_correction(path))
    fuzz::expect(correction->all().size() == correction->sizes().count());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::read_as_file(data, size, load_as<float>);
  fuzz::read_as_file(data, size, load_correction);
  fuzz::read_as_file(data, size, load_as<Eigen::bfloat16>);
  fuzz::read_as_file(data, size, load_as<Eigen::half>);
  return fuzz::read_as_file(data, size, load_as<std::int8_t>);
}
