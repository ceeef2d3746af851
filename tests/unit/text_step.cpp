#include "catch.hpp"

#include <kronecker/vocabularies/text_step.hpp>

#include <string>

using kronecker::detail::TextSteps;

TEST_CASE("steps within a sequence follow it, and what is within a step has both names") {
  TextSteps steps;  // {"decoders": [{"type": "A", "pattern": {"String": "x"}, "n": 1}, {"type": "B"}],
                    // "type": "Sequence"}
  steps.open('{', "decoder");
  steps.open('[', "decoders");
  steps.open('{', "decoders");
  steps.add("type", "A");
  steps.open('{', "pattern");
  steps.add("String", "x");
  steps.close();
  steps.add("n", "1");
  steps.close();
  steps.open('{', "decoders");
  steps.add("type", "B");
  steps.close();
  steps.close();
  steps.add("type", "Sequence");
  steps.close();
  REQUIRE(steps.steps().size() == 3);
  CHECK(steps.steps()[0]["type"] == "Sequence");
  CHECK(steps.steps()[1]["type"] == "A");
  CHECK(steps.steps()[1]["pattern.String"] == "x");
  CHECK(steps.steps()[1]["n"] == "1");
  CHECK(steps.steps()[1]["String"].empty());
  CHECK(steps.steps()[2]["type"] == "B");
}

TEST_CASE("values outside any step are none of a step") {
  TextSteps steps;  // ["a", {}]
  steps.open('[', "decoder");
  steps.add("decoder", "a");
  steps.open('{', "decoder");
  steps.close();
  steps.close();
  REQUIRE(steps.steps().size() == 1);
  CHECK(steps.steps()[0].settings.empty());
}
