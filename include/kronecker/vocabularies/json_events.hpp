#pragma once

/// JSON files read without building a document, which for a tokenizer of 9 MB takes most of the time. Needs
/// nlohmann/json 3.11.

#include <kronecker/error.hpp>
#include <kronecker/files/file_kind.hpp>
#include <kronecker/files/wrong_file.hpp>
#include <kronecker/namespace.hpp>
#include <kronecker/vocabularies/token_table.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace KRONECKER_NAMESPACE::detail {

/// JSON has no NUL, but nlohmann's parser takes one for its end: what is after it would not be looked at.
inline void refuse_nul(const std::string& path, std::string_view json) {
  const std::size_t found = json.find('\0');
  if (found != json.npos) fail<FileError>(path, ": not valid JSON: byte ", found + 1, ": unexpected NUL");
}

/// What a JSON file consists of, told in its order: no document is built. A reader derives from this and
/// keeps what it needs.
class JsonEvents {
 public:
  explicit JsonEvents(std::string path) : path_(std::move(path)) {}
  virtual ~JsonEvents() = default;
  JsonEvents(const JsonEvents&) = delete;
  JsonEvents& operator=(const JsonEvents&) = delete;

  /// Reads `json` to its end, or until `stop()`. Throws FileError at what is not JSON.
  void read(std::string_view json) {
    refuse_nul(path_, json);
    refuse_other_kind(path_, json, FileKind::json);
    nlohmann::json::sax_parse(json.data(), json.data() + json.size(), this);
  }

  // What nlohmann's parser calls; false ends the parse.
  bool null() { return other("null"); }
  bool boolean(bool value) { return other(value ? "true" : "false"); }
  bool number_integer(std::int64_t value) { return other(std::to_string(value)); }
  bool number_unsigned(std::uint64_t value) { return on_number(value), !is_stopped_; }
  bool number_float(double, const std::string& digits) { return other(digits); }
  bool string(std::string& value) { return on_text(value), !is_stopped_; }
  bool binary(nlohmann::json::binary_t&) { return true; }  // not in JSON
  bool start_object(std::size_t) { return on_open('{'), !is_stopped_; }
  bool end_object() { return on_close(), !is_stopped_; }
  bool start_array(std::size_t) { return on_open('['), !is_stopped_; }
  bool end_array() { return on_close(), !is_stopped_; }
  bool key(std::string& name) { return on_key(name), !is_stopped_; }
  bool parse_error(std::size_t position, const std::string& found, const nlohmann::json::exception&) {
    const std::size_t shown = excerpt(found).size();
    fail<FileError>(path_, ": not valid JSON: byte ", position, ": unexpected '",
                    std::string_view(found).substr(found.size() - shown), "'");
  }

 protected:
  const std::string& path() const noexcept { return path_; }
  void stop() noexcept { is_stopped_ = true; }

 private:
  virtual void on_open(char bracket) = 0;
  virtual void on_close() = 0;
  virtual void on_key(std::string& name) = 0;
  virtual void on_text(std::string& value) = 0;
  virtual void on_number(std::uint64_t value) = 0;          // a whole number, 0 or more
  virtual void on_other_value(std::string_view value) = 0;  // any other number, true, false or null

  bool other(std::string_view value) { return on_other_value(value), !is_stopped_; }

  std::string path_;
  bool is_stopped_ = false;
};

}  // namespace KRONECKER_NAMESPACE::detail
