#pragma once

/// What the commands of kron share: how they report, and how they take their inputs.

#include "command.hpp"
#include "files.hpp"
#include "options.hpp"
#include "shown.hpp"
#include "terminal.hpp"

#include <kronecker/encoder.hpp>
#include <kronecker/error.hpp>
#include <kronecker/utf8.hpp>

#include <fmt/core.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kron {

using Encoder = kronecker::DynamicEncoder;
using examples::check_output;
using examples::check_replaces_none;
using examples::on_values_of;
using examples::shown_name;
using kronecker::detail::counted;
using nlohmann::ordered_json;

/// The number of bytes of a token that all commands keep if nothing else is asked for.
inline constexpr int default_pos_dim = 32;

/// A command of class T, which adds itself to the command line when it is made.
template <class T>
Command make_command(CLI::App& tool) {
  const auto command = std::make_shared<T>(tool);
  return {command->parser(), [command] { return command->run(); }};
}

/// Prints a report for programs, in ASCII.
inline void print_json(const ordered_json& report, std::FILE* to = stdout) {
  fmt::print(to, "{}\n", report.dump(2, ' ', true, ordered_json::error_handler_t::replace));
}

/// Prints a line of a table without spaces at its end, cut to the width of the terminal.
inline void print_row(std::string_view line, std::FILE* to = stdout) {
  static const std::size_t width = examples::output_width();
  fmt::print(to, "{}\n", examples::fitted(line.substr(0, line.find_last_not_of(' ') + 1), width));
}

/// Prints a sentence behind as many spaces as `indent`, in lines that fit the terminal.
inline void print_text(std::size_t indent, std::string_view text, std::FILE* to = stdout) {
  static const std::size_t width = examples::output_width();
  fmt::print(to, "{:{}}{}\n", "", indent, examples::wrapped(text, width, indent));
}

/// (2, 3)
template <class Shape>
std::string shown_shape(const Shape& shape) {
  std::string text;
  for (const auto size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "(" + text + ")";
}

/// Bytes as they go into a report for programs: the text, if they are text, and always the hexadecimal
/// digits.
inline ordered_json json_bytes(std::string_view bytes) {
  std::string hexadecimal;
  for (const char byte : bytes) hexadecimal += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  ordered_json report{{"hex", hexadecimal}};
  if (kronecker::is_valid_utf8(bytes)) report["text"] = bytes;
  return report;
}

/// Options that several commands have.
inline void add_json(CLI::App& command, bool& as_json) {
  command.add_flag("--json", as_json, "Report as JSON, for programs");
}
inline CLI::Option* add_pos_dim(CLI::App& command, int& pos_dim) {
  return command.add_option("--pos-dim", pos_dim, "Bytes kept of a token")
      ->type_name("NUMBER")
      ->transform(examples::whole_number(1, 255))
      ->capture_default_str();
}
inline CLI::Option* add_output(CLI::App& command, std::string& path, const char* what) {
  return command.add_option("--output", path, what)->type_name("FILE")->required();
}

}  // namespace kron
