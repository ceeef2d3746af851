#include "catch.hpp"

#include <kronecker/vocabularies/json_events.hpp>

#include <string>

TEST_CASE("a NUL is refused wherever it is in a JSON file: nlohmann's parser would take it for the end") {
  using namespace std::string_literals;
  const auto message = [](const std::string& json) {
    return message_of<kronecker::FileError>([&] { kronecker::detail::refuse_nul("file", json); });
  };
  CHECK(message("{}\0 garbage"s) == "file: not valid JSON: byte 3: unexpected NUL");
  CHECK(message("\0{}"s) == "file: not valid JSON: byte 1: unexpected NUL");
  CHECK(message("{}\0"s) == "file: not valid JSON: byte 3: unexpected NUL");
  kronecker::detail::refuse_nul("file", "{\"\\u0000\": 1}");
}
