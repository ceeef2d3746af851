/// Takes any bytes through UTF-8, truncation, codes and back; the first two bytes choose the encoder.

#include "fuzz.hpp"

#include <kronecker/kronecker.hpp>
#include <kronecker/vocabularies/reference_text.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const int pos_dim = 1 + data[0] % 32;
  const kronecker::KroneckerEncoder encoder(256, pos_dim, {(data[1] & 1) != 0, (data[1] & 2) != 0, 1e-6f});

  const std::string_view kept = encoder.truncate(bytes);
  fuzz::expect(bytes.starts_with(kept) && kept.size() <= static_cast<std::size_t>(pos_dim));
  fuzz::expect(encoder.truncate(kept) == kept);
  fuzz::expect(encoder.decode(encoder.encode(bytes)) == kept);
  fuzz::expect(kept.empty() || encoder.cosine(bytes, kept) > 0.99999f);

  const std::string text = kronecker::replace_invalid_utf8(bytes);
  fuzz::expect(kronecker::is_valid_utf8(text) && (text == bytes) == kronecker::is_valid_utf8(bytes));
  fuzz::expect(text.size() <= 3 * bytes.size());
  if (!kronecker::is_valid_utf8(bytes)) return 0;
  fuzz::expect(kronecker::bytes_from_sentencepiece(bytes).size() <= bytes.size());
  try {
    fuzz::expect(kronecker::bytes_from_byte_level_bpe(bytes).size() <= bytes.size());
  } catch (const std::invalid_argument&) {
  }
  return 0;
}
