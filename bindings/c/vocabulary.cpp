/// The functions of the C interface that read tokenizer files.

#include "status.hpp"

#include <kronecker/token_bytes.hpp>
#include <kronecker/vocabularies/load.hpp>
#include <kronecker/vocabulary.hpp>

#include <algorithm>
#include <string>

struct kronecker_vocabulary {
  kronecker::Vocabulary vocabulary;
};

using kronecker_c::check_pointer;
using kronecker_c::guarded;

kronecker_status kronecker_vocabulary_open(const char* path, int32_t reference_text,
                                           kronecker_vocabulary** vocabulary) {
  return guarded([&] {
    check_pointer("path", path);
    check_pointer("vocabulary", vocabulary);
    const std::u8string utf8(path, path + std::strlen(path));
    const auto text = reference_text != 0 ? kronecker::TokenText::reference : kronecker::TokenText::raw;
    *vocabulary = new kronecker_vocabulary{kronecker::load_vocabulary(utf8, text)};
  });
}

void kronecker_vocabulary_close(kronecker_vocabulary* vocabulary) { delete vocabulary; }

int32_t kronecker_vocabulary_size(const kronecker_vocabulary* vocabulary) {
  return vocabulary == nullptr ? 0 : vocabulary->vocabulary.size();
}

kronecker_status kronecker_vocabulary_bytes(const kronecker_vocabulary* vocabulary, int32_t id,
                                            const char** bytes, size_t* length) {
  return guarded([&] {
    check_pointer("vocabulary", vocabulary);
    check_pointer("bytes", bytes);
    check_pointer("length", length);
    const std::string_view token = vocabulary->vocabulary.bytes(id);
    *bytes = token.data();
    *length = token.size();
  });
}

const char* kronecker_vocabulary_note(const kronecker_vocabulary* vocabulary, size_t index) {
  if (vocabulary == nullptr || index >= vocabulary->vocabulary.notes().size()) return nullptr;
  return vocabulary->vocabulary.notes()[index].c_str();
}

kronecker_status kronecker_vocabulary_arrays(const kronecker_vocabulary* vocabulary,
                                             const kronecker_code* code, uint8_t* bytes, uint8_t* lengths) {
  return guarded([&] {
    check_pointer("vocabulary", vocabulary);
    check_pointer("code", code);
    check_pointer("bytes", bytes);
    check_pointer("lengths", lengths);
    const kronecker::TokenBytes tokens(vocabulary->vocabulary,
                                       kronecker::KroneckerEncoder(code->char_dim, code->pos_dim));
    std::copy(tokens.bytes().begin(), tokens.bytes().end(), bytes);
    std::copy(tokens.lengths().begin(), tokens.lengths().end(), lengths);
  });
}
