#pragma once
// Exponentials, cosines and sines of whole arrays, for the phases of celerite.cpp.

#include <cstddef>

namespace skyloom::numerics {

/// out[i] = exp(factor x[i]).
void fill_exp(const double* x, double factor, double* out, std::size_t n);
/// out[i] = cos(factor x[i]).
void fill_cos(const double* x, double factor, double* out, std::size_t n);
/// out[i] = sin(factor x[i]).
void fill_sin(const double* x, double factor, double* out, std::size_t n);

}  // namespace skyloom::numerics
