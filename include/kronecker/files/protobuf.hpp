#pragma once

/// Messages of protobuf, as they are stored. The few types of fields that model files have are read without a
/// protobuf library, and nothing throws but this library's own errors.

#include <kronecker/error.hpp>
#include <kronecker/namespace.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// A field of a protobuf message.
struct ProtobufField {
  enum WireType : std::uint64_t { varint = 0, fixed64 = 1, length_delimited = 2, fixed32 = 5 };

  std::uint64_t number = 0;
  std::uint64_t wire_type = varint;
  std::uint64_t value = 0;  ///< Of a varint.
  std::string_view bytes;   ///< Of any other.
};

/// The fields of a protobuf message, one after the other. Fails with the byte's offset in the file at what is
/// not one.
class ProtobufMessage {
 public:
  /// The message that is the whole content of the file at `path`, which should be `format` ("an ONNX
  /// model"); all must outlive the reader.
  ProtobufMessage(const std::string& path, const char* format, std::string_view file)
      : path_(path), format_(format), file_begin_(file.data()), rest_(file) {}

  /// The message that a field of this one is; one without fields if it is none.
  ProtobufMessage part(const ProtobufField& field) const {
    ProtobufMessage message = *this;
    message.rest_ = field.wire_type == ProtobufField::length_delimited ? field.bytes : std::string_view();
    return message;
  }

  /// The numbers of a field that has one, or several packed.
  std::vector<std::uint64_t> numbers(const ProtobufField& field) const {
    if (field.wire_type != ProtobufField::length_delimited) return {field.value};
    std::vector<std::uint64_t> numbers;
    for (ProtobufMessage packed = part(field); !packed.at_end();) numbers.push_back(packed.varint());
    return numbers;
  }

  bool at_end() const noexcept { return rest_.empty(); }

  ProtobufField next() {
    const std::uint64_t tag = varint();
    ProtobufField field{tag >> 3, tag & 7, 0, {}};
    if (field.number == 0) refuse("a field cannot have the number 0");
    switch (field.wire_type) {
      case ProtobufField::varint:
        field.value = varint();
        break;
      case ProtobufField::fixed64:
        field.bytes = take(8);
        break;
      case ProtobufField::length_delimited:
        field.bytes = take(varint());
        break;
      case ProtobufField::fixed32:
        field.bytes = take(4);
        break;
      default:
        refuse("a field has an unknown wire type");
    }
    return field;
  }

  /// Says that something is wrong just before what is read next.
  [[noreturn]] void refuse(std::string_view why) const {
    fail<FileError>(path_, ": not ", format_, ": byte ", rest_.data() - file_begin_, ": ", why);
  }

 private:
  std::string_view take(std::uint64_t size) {
    if (size > rest_.size()) refuse("a field ends after the message that it is in");
    const std::string_view bytes = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(bytes.size());
    return bytes;
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1).front());
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    refuse("a number has more than ten bytes");
  }

  const std::string& path_;
  const char* format_;
  const char* file_begin_;
  std::string_view rest_;
};

}  // namespace KRONECKER_NAMESPACE::detail
