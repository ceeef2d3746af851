#include "catch.hpp"

#include <kronecker/vocabularies/hugging_face_decoder.hpp>

#include <string>
#include <vector>

using kronecker::FileError;
using kronecker::detail::HuggingFaceDecoder;
using kronecker::detail::TextStep;

namespace {

const TextStep decoder_spaces = {{{"type", "Replace"}, {"pattern.String", "\xE2\x96\x81"}, {"content", " "}}};
const TextStep decoder_fallback = {{{"type", "ByteFallback"}}};
const TextStep decoder_fuse = {{{"type", "Fuse"}}};
const TextStep decoder_sequence = {{{"type", "Sequence"}}};

TextStep decoder_step_of(std::map<std::string, std::string, std::less<>> settings) {
  return {std::move(settings)};
}

}  // namespace

// The texts are what Python's tokenizers 0.23.3 decodes from these tokens, each alone.
TEST_CASE("a token is decoded alone by the steps of a tokenizer's decoder") {
  struct Case {
    std::vector<TextStep> steps;
    std::string token, text;
  };
  const std::string u2581 = "\xE2\x96\x81", replacement = "\xEF\xBF\xBD";
  const TextStep strip =
      decoder_step_of({{"type", "Strip"}, {"content", "a"}, {"start", "2"}, {"stop", "1"}});
  const TextStep strip_space =
      decoder_step_of({{"type", "Strip"}, {"content", " "}, {"start", "1"}, {"stop", "0"}});
  const auto metaspace_step = [&](const char* scheme) {
    return decoder_step_of({{"type", "Metaspace"}, {"replacement", u2581}, {"prepend_scheme", scheme}});
  };
  const auto word_piece = [](const char* cleanup) {
    return decoder_step_of({{"type", "WordPiece"}, {"cleanup", cleanup}});
  };
  const TextStep words = decoder_step_of({{"type", "BPEDecoder"}, {"suffix", "</w>"}});
  const auto connectionist = [](const char* cleanup) {
    return decoder_step_of(
        {{"type", "CTC"}, {"pad_token", "<pad>"}, {"word_delimiter_token", "|"}, {"cleanup", cleanup}});
  };
  const TextStep bytes = decoder_step_of({{"type", "ByteLevel"}});
  const Case cases[] = {
      {{}, u2581, u2581},
      {{decoder_sequence, decoder_spaces, decoder_fallback, decoder_fuse}, u2581 + "the", " the"},
      {{decoder_sequence, decoder_spaces, decoder_fallback, decoder_fuse}, u2581 + u2581, "  "},
      {{decoder_sequence, decoder_spaces, decoder_fallback, decoder_fuse, strip_space}, u2581 + "the", "the"},
      {{decoder_sequence, decoder_spaces, decoder_fallback, decoder_fuse, strip_space}, u2581 + u2581, " "},
      {{decoder_fallback}, "<0x41>", "A"},
      {{decoder_fallback}, "<0xe2>", replacement},
      {{strip}, "aaab", "ab"},
      {{strip}, "baa", "ba"},
      {{strip}, "xay", "xay"},
      {{metaspace_step("always")}, u2581 + "a" + u2581 + u2581 + "b" + u2581, "ab"},
      {{metaspace_step("first")}, u2581 + "a" + u2581 + u2581 + "b" + u2581, "ab"},
      {{metaspace_step("never")}, u2581 + "a" + u2581 + u2581 + "b" + u2581, " a  b "},
      {{decoder_step_of({{"type", "Metaspace"}, {"replacement", "_"}})}, "_a_", "a"},
      {{bytes}, "\xC4\xA0the", " the"},
      {{bytes}, "\xC3\x83l", replacement + "l"},
      {{bytes}, "\xC3\xA9", replacement},
      {{bytes}, u2581 + "\xC3\xA9", u2581 + "\xC3\xA9"},
      {{word_piece("true")}, "##ing", "##ing"},
      {{word_piece("true")}, " .", "."},
      {{word_piece("true")}, " do not", " don't"},
      {{word_piece("true")}, "a 's", "a's"},
      {{word_piece("false")}, " .", " ."},
      {{words}, "the</w>", "the"},
      {{words}, "</w>a</w>", "a"},
      {{connectionist("true")}, "<pad>", ""},
      {{connectionist("true")}, "a|b<pad>|", "a b "},
      {{connectionist("true")}, " ,|", ", "},
      {{connectionist("false")}, "a|b", "a|b"},
      {{decoder_step_of({{"type", "Replace"}, {"pattern.String", "aa"}, {"content", "a"}})}, "aaaaa", "aaa"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.token, c.text);
    CHECK(HuggingFaceDecoder("file", c.steps)(c.token) == c.text);
  }
}

// Replaced one after the other in place, this took minutes.
TEST_CASE("a long token is decoded in time that grows with its length alone") {
  std::string token;
  for (int i = 0; i < 1'000'000; ++i) token += "\xE2\x96\x81";
  CHECK(HuggingFaceDecoder("file", {decoder_spaces})(token) == std::string(1'000'000, ' '));
}

TEST_CASE("a decoder with a step that cannot be followed is refused") {
  const auto message = [](TextStep step) {
    return message_of<FileError>([&] { HuggingFaceDecoder("file", {decoder_sequence, step}); });
  };
  const std::string end = ": the reference's strings are not known; the tokens' true bytes are";
  CHECK(message(decoder_step_of({{"type", "Other"}})) ==
        "file: decoder: the step 'Other' is not one that is known" + end);
  CHECK(message({}) == "file: decoder: the step '' is not one that is known" + end);
  CHECK(message(decoder_step_of({{"type", "Replace"}, {"pattern.Regex", "a+"}})) ==
        "file: decoder: the step Replace: expected a string pattern.String, found a regular expression" +
            end);
  CHECK(message(decoder_step_of({{"type", "BPEDecoder"}})) ==
        "file: decoder: the step BPEDecoder: expected a string suffix, found none" + end);
  CHECK(message(decoder_step_of({{"type", "Strip"}, {"content", " "}, {"start", "-1"}, {"stop", "0"}})) ==
        "file: decoder: the step Strip: expected a number start, found '-1'" + end);
}
