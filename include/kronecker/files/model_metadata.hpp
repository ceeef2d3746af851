#pragma once

/// What the readers of a model file check: that a tensor or an option is there, and is what it must be.

#include <kronecker/error.hpp>
#include <kronecker/files/safetensors.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/number_text.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace KRONECKER_NAMESPACE::detail {

/// The metadata of a model file, read and checked one by one.
class ModelMetadata {
 public:
  explicit ModelMetadata(const SafetensorsFile& file) : file_(file) {}

  const std::string& text(const std::string& key) const {
    const auto found = file_.metadata().find(key);
    if (found == file_.metadata().end())
      fail<FileError>(file_.path(), ": not a saved embedding: the metadata '", key, "' is missing");
    return found->second;
  }

  bool has(const std::string& key) const { return file_.metadata().contains(key); }

  template <class T>
  T number(const std::string& key) const {
    const std::string& digits = text(key);
    const std::optional<T> value = number_in<T>(digits);
    if (!value) fail<FileError>(file_.path(), ": the metadata '", key, "' is '", digits, "', not a number");
    return *value;
  }

  int number_within(const std::string& key, int least, int most) const {
    const int value = number<int>(key);
    if (value < least || value > most)
      fail<FileError>(file_.path(), ": the metadata '", key, "' is ", value, ", outside ", least, " to ",
                      most);
    return value;
  }

  bool flag(const std::string& key) const {
    const std::string& value = text(key);
    if (value != "true" && value != "false")
      fail<FileError>(file_.path(), ": the metadata '", key, "' is '", value, "', not true or false");
    return value == "true";
  }

 private:
  const SafetensorsFile& file_;
};

/// The tensor `name` of that type and number of dimensions.
inline const TensorInfo& model_tensor(const SafetensorsFile& file, std::string_view name,
                                      std::size_t dimensions) {
  const TensorInfo* tensor = file.find(name);
  if (tensor == nullptr)
    fail<FileError>(file.path(), ": not a saved embedding: the tensor '", name, "' is missing");
  if (tensor->shape.size() != dimensions)
    fail<FileError>(file.path(), ": tensor '", name, "' has ", counted(tensor->shape.size(), "dimension"),
                    ", not ", dimensions);
  return *tensor;
}

}  // namespace KRONECKER_NAMESPACE::detail
