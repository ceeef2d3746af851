#include "catch.hpp"

#include <kronecker/views.hpp>

#include <array>
#include <type_traits>
#include <vector>

using kronecker::Inputs;
using kronecker::Outputs;
using kronecker::Range;
using kronecker::RowMajorMatrix;

TEST_CASE("floats are read from whatever holds them one after the other") {
  const auto first = [](Inputs inputs) { return inputs.data()[0]; };
  const auto size = [](Inputs inputs) { return inputs.size(); };
  const std::vector<float> vector = {1, 2, 3};
  CHECK(first(vector) == 1);
  CHECK(size(vector) == 3);
  CHECK(size(std::span(vector).subspan(1)) == 2);
  CHECK(first(std::array<float, 2>{5, 6}) == 5);
  CHECK(first({vector.data() + 1, 2}) == 2);
  const float built_in[] = {7, 8};
  CHECK(size(built_in) == 2);

  const RowMajorMatrix<float> matrix = RowMajorMatrix<float>::Constant(2, 3, 4);
  CHECK(size(matrix) == 6);
  CHECK(size(matrix.row(1)) == 3);
  CHECK(size(matrix.topRows(1)) == 3);
  CHECK(first(Eigen::VectorXf::Constant(3, 9).eval()) == 9);
  CHECK(size(Eigen::Map<const RowMajorMatrix<float>>(matrix.data(), 3, 2)) == 6);
  CHECK(size(Eigen::Ref<const RowMajorMatrix<float>>(matrix)) == 6);
  CHECK(size(RowMajorMatrix<float>(0, 5)) == 0);
}

TEST_CASE("gaps that only show at run time are named by their stride") {
  RowMajorMatrix<float> matrix(3, 4);
  const auto view = [](Inputs) {};
  CHECK(message_of<std::invalid_argument>([&] { view(matrix.leftCols(2)); }) ==
        "a matrix of 3 x 2 with an outer stride of 4 has gaps between its rows");
  CHECK(message_of<std::invalid_argument>([&] { view(matrix.col(1)); }) ==
        "numbers with an inner stride of 4 do not lie one after the other");
  CHECK_NOTHROW(view(matrix.leftCols(2).topRows(1)));
  CHECK_NOTHROW(view(matrix.col(1).head(1)));
}

TEST_CASE("only numbers that can be written are outputs, and of their own type") {
  STATIC_REQUIRE(std::is_convertible_v<std::vector<float>&, Outputs<float>>);
  STATIC_REQUIRE(std::is_convertible_v<RowMajorMatrix<Eigen::half>&, Outputs<Eigen::half>>);
  STATIC_REQUIRE(!std::is_convertible_v<const std::vector<float>&, Outputs<float>>);
  STATIC_REQUIRE(!std::is_convertible_v<std::span<const float>, Outputs<float>>);
  STATIC_REQUIRE(!std::is_convertible_v<Eigen::Map<const RowMajorMatrix<float>>, Outputs<float>>);
  STATIC_REQUIRE(!std::is_convertible_v<std::vector<float>&, Outputs<Eigen::bfloat16>>);
  STATIC_REQUIRE(!std::is_convertible_v<const std::vector<double>&, Inputs>);
}

TEST_CASE("a range is cut to what there is, and refused beyond it") {
  CHECK(Range{}.within(5, "cells").size() == 5);
  CHECK(Range{2, 9}.within(5, "cells").end == 5);
  CHECK(Range{5, 5}.within(5, "cells").size() == 0);
  CHECK(message_of<std::out_of_range>([] {
          Range{3, 2}.within(5, "cells");
        }) == "cells 3 to 2 are no range of 5");
  CHECK(message_of<std::out_of_range>([] {
          Range{6, 7}.within(5, "cells");
        }) == "cells 6 to 7 are no range of 5");
}
