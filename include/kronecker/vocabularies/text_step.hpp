#pragma once

/// The steps of a tokenizer.json's normalizer, pre-tokenizer or decoder, as they are read.

#include <kronecker/namespace.hpp>

#include <cstddef>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace KRONECKER_NAMESPACE::detail {

/// One step: what its JSON object says. Numbers and truth values are as in the file; what an object within it
/// says has both names ("pattern.String").
class TextStep {
 public:
  /// The value of that name, empty if there is none.
  std::string_view operator[](std::string_view name) const {
    const auto found = settings.find(name);
    return found == settings.end() ? std::string_view() : std::string_view(found->second);
  }

  std::map<std::string, std::string, std::less<>> settings;  ///< Values by name.
};

/// The steps in their order, collected from the parts of the JSON value that has them. The parts of a
/// "Sequence" follow it.
class TextSteps {
 public:
  /// The steps, once all is read.
  const std::vector<TextStep>& steps() const noexcept { return steps_; }

  /// An object or array begins, the value of `key` if it is in an object.
  void open(char bracket, const std::string& key) {
    const bool is_step = bracket == '{' && (levels_.empty() || levels_.back().bracket == '[');
    if (is_step) steps_.emplace_back();
    const std::size_t step = is_step ? steps_.size() - 1 : levels_.empty() ? no_step : levels_.back().step;
    levels_.push_back({bracket, step, is_step ? std::string() : key + '.'});
  }

  /// It ends.
  void close() { levels_.pop_back(); }

  /// A value that is neither.
  void add(const std::string& key, std::string_view value) {
    const Level& level = levels_.back();
    if (level.step != no_step) steps_[level.step].settings[level.prefix + key] = value;
  }

 private:
  static constexpr std::size_t no_step = (std::numeric_limits<std::size_t>::max)();

  struct Level {
    char bracket;
    std::size_t step;
    std::string prefix;
  };

  std::vector<TextStep> steps_;
  std::vector<Level> levels_;
};

}  // namespace KRONECKER_NAMESPACE::detail
