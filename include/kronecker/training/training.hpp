#pragma once

/// Learning a projection: gradients, optimizers and what to watch.

#include <kronecker/training/cross_entropy.hpp>
#include <kronecker/training/gradient.hpp>
#include <kronecker/training/monitors.hpp>
#include <kronecker/training/optimizer.hpp>
