#pragma once

/// Learning a projection: gradients.

#include <kronecker/training/gradient.hpp>
