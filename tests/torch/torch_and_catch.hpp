#pragma once

/// LibTorch and Catch2, each with a macro CHECK, of which the second is meant.

#include <torch/torch.h>

#undef CHECK

#include "catch.hpp"
