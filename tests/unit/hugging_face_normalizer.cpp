#include "catch.hpp"

#include <kronecker/vocabularies/hugging_face_normalizer.hpp>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using kronecker::detail::normalized;
using kronecker::detail::TextStep;

namespace {

std::optional<std::string> normalized_by(std::map<std::string, std::string, std::less<>> settings,
                                         const std::string& content) {
  return normalized(std::vector<TextStep>{{std::move(settings)}}, content);
}

}  // namespace

// The texts are what Python's tokenizers 0.23.3 decodes, without a decoder, from added tokens with this
// content.
TEST_CASE("an added token is what a normalizer makes of its content") {
  CHECK(normalized(std::vector<TextStep>{}, "a") == "a");
  CHECK(normalized_by({{"type", "Sequence"}}, "a") == "a");
  CHECK(normalized_by({{"type", "Prepend"}, {"prepend", "_"}}, "ab") == "_ab");
  CHECK(normalized_by({{"type", "Replace"}, {"pattern.String", " "}, {"content", "_"}}, "a b") == "a_b");
  CHECK(normalized_by({{"type", "ByteLevel"}}, "\xC3\xA9 \n") == "\xC3\x83\xC2\xA9\xC4\xA0\xC4\x8A");
  CHECK(normalized_by({{"type", "NFC"}}, "\xC3\x89z") == "\xC3\x89z");
  CHECK(normalized_by({{"type", "NFKC"}}, "Aa ~") == "Aa ~");
  CHECK(normalized_by({{"type", "Lowercase"}}, "AbZ") == "abz");
  CHECK(normalized_by({{"type", "BertNormalizer"}, {"lowercase", "true"}}, "Ab") == "ab");
  CHECK(normalized_by({{"type", "BertNormalizer"}, {"lowercase", "false"}}, "Ab") == "Ab");
  CHECK(normalized_by({{"type", "Strip"}, {"strip_left", "true"}, {"strip_right", "true"}}, "  a ") == "a");
  CHECK(normalized_by({{"type", "Strip"}, {"strip_left", "false"}, {"strip_right", "true"}}, "   ") == "");
  const std::vector<TextStep> two = {{{{"type", "Prepend"}, {"prepend", "-"}}},
                                     {{{"type", "Replace"}, {"pattern.String", "-"}, {"content", "_"}}}};
  CHECK(normalized(two, "a") == "_a");
}

TEST_CASE("what would take Unicode's tables or a regular expression is not known") {
  CHECK_FALSE(normalized_by({{"type", "NFC"}}, "e\xCC\x81"));
  CHECK_FALSE(normalized_by({{"type", "NFKC"}}, "\xC3\xA9"));
  CHECK_FALSE(normalized_by({{"type", "Lowercase"}}, "\xC3\x89"));
  CHECK_FALSE(normalized_by({{"type", "Precompiled"}}, "A"));
  CHECK(normalized_by({{"type", "Precompiled"}}, "a1") == "a1");
  CHECK_FALSE(normalized_by({{"type", "Replace"}, {"pattern.Regex", "a+"}, {"content", "b"}}, "c"));
  CHECK_FALSE(normalized_by({{"type", "Other"}}, "a"));
}
