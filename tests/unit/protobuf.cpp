#include "catch.hpp"

#include <kronecker/files/protobuf.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

using kronecker::detail::ProtobufField;
using kronecker::detail::ProtobufMessage;

namespace {

const std::string protobuf_path = "file";

/// The message of the error that reading all fields of `bytes` ends in.
std::string protobuf_error(std::string_view bytes) {
  return message_of<kronecker::FileError>([&] {
    for (ProtobufMessage message(protobuf_path, "a model", bytes); !message.at_end();) message.next();
  });
}

}  // namespace

// The messages are those that protobuf's documentation of its encoding shows.
TEST_CASE("fields of a protobuf message are read one after the other") {
  const std::string_view bytes("\x08\x96\x01\x12\x07testing\x1a\x03\x08\x96\x01", 17);
  ProtobufMessage message(protobuf_path, "a model", bytes);
  const ProtobufField number = message.next();
  CHECK(number.number == 1);
  CHECK(number.value == 150);
  CHECK(message.part(number).at_end());
  const ProtobufField text = message.next();
  CHECK(text.number == 2);
  CHECK(text.bytes == "testing");
  const ProtobufField within = message.next();
  CHECK(within.number == 3);
  CHECK(message.part(within).next().value == 150);
  CHECK(message.at_end());
}

TEST_CASE("numbers of a protobuf field may be packed") {
  const std::string_view bytes("\x22\x06\x03\x8E\x02\x9E\xA7\x05\x20\x07", 10);
  ProtobufMessage message(protobuf_path, "a model", bytes);
  CHECK(message.numbers(message.next()) == std::vector<std::uint64_t>{3, 270, 86942});
  CHECK(message.numbers(message.next()) == std::vector<std::uint64_t>{7});
}

TEST_CASE("what is no protobuf message is refused with the byte") {
  CHECK(protobuf_error("\x08") == "file: not a model: byte 1: a field ends after the message that it is in");
  CHECK(protobuf_error("\x12\x07test").ends_with("byte 2: a field ends after the message that it is in"));
  CHECK(protobuf_error(std::string_view("\x00\x01", 2)).ends_with("a field cannot have the number 0"));
  CHECK(protobuf_error("\x0B").ends_with("a field has an unknown wire type"));
  CHECK(protobuf_error("\x08" + std::string(10, '\xFF')).ends_with("a number has more than ten bytes"));
}
