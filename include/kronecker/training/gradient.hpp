#pragma once

/// The gradient of a loss with respect to what an embedding learns, for embeddings and tied heads.

#include <kronecker/training/embedding_gradient.hpp>
#include <kronecker/training/head_correction_gradient.hpp>
#include <kronecker/training/head_gradient.hpp>
#include <kronecker/training/projection_gradient.hpp>
