// exp(x) = 2^n · P(r) with n = round(x / ln 2) and r = x − n ln 2, taken away in two steps; P is the polynomial of
// Cephes' expf. Internal linkage, for kernel files.
#pragma once

namespace quaver::kernels {
namespace {

constexpr float kLog2E = 1.44269504F, kLn2High = 0.693359375F, kLn2Low = -2.12194440e-4F;
constexpr float kExpCoefficients[] = {1.9875691500e-4F,
                                      1.3981999507e-3F,
                                      8.3334519073e-3F,
                                      4.1665795894e-2F,
                                      1.6666665459e-1F,
                                      5.0000001201e-1F,
                                      1.0F,
                                      1.0F};
constexpr int kExpTerms = 8;

}  // namespace
}  // namespace quaver::kernels
